#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *object_kind_name(int kind) {
    static const char *const names[object_kind_count] = {
        [base_write] = "write mem",
        [base_write_view] = "write view",
        [base_store] = "store mem",
        [base_store_view] = "store view",
        [base_read] = "read mem",
        [base_read_view] = "read view",
        [base_load] = "load mem",
        [base_load_view] = "load view",
        [rest_read] = "read rest",
        [rest_load] = "load rest",
        [rest_load_view] = "load rest, view",
        [rest_fill] = "fill rest",
        [rest_check] = "check rest",
        [grow] = "grow",
        [shrink] = "shrink",
        [punch] = "punch",
        [to_tagged] = "move to tagged",
        [to_untagged] = "move to untagged",
        [retag_object] = "retag",
        [change_mode] = "mode",
        [pin_object] = "pin",
        [object_mapping] = "mmap",
        [object_unmapping] = "munmap",
        [object_close] = "close",
        [short_lived] = "short-lived object",
        [removed_in_use] = "object removed in use",
        [compact_now] = "compact",
        [change_reserve] = "reserve",
        [physical_read] = "read phys",
        [physical_load] = "load phys",
        [statistics_read] = "statistics",
    };
    return kind < 0 || kind >= object_kind_count ? "nothing" : names[kind];
}

void object_begin(struct object_worker *worker, enum object_kind kind, int object) {
    atomic_store_explicit(&worker->status->kind, (int)kind, memory_order_relaxed);
    atomic_store_explicit(&worker->status->object, object, memory_order_relaxed);
    atomic_fetch_add_explicit(&worker->status->beats, 1, memory_order_relaxed);
}

void object_done(struct object_worker *worker, enum object_kind kind) {
    atomic_fetch_add_explicit(&worker->shared->done[kind], 1, memory_order_relaxed);
}

void object_refused(struct object_worker *worker, enum object_kind kind) {
    atomic_fetch_add_explicit(&worker->shared->refused[kind], 1, memory_order_relaxed);
}

unsigned below(struct object_worker *worker, unsigned bound) {
    return random_below(&worker->random, bound);
}

bool object_owned(const struct object_worker *worker, unsigned object) {
    return object % worker->options->workers == worker->index;
}

// MARK: Descriptors

void object_path(const struct object_worker *worker, unsigned object, bool tagged, const char *name, char *path) {
    snprintf(path, 4096, "%s/%s/object%u%s%s", worker->options->mountpoint, tagged ? "tagged" : "untagged", object,
             *name == 0 ? "" : "/", name);
}

int open_in_object(struct object_worker *worker, unsigned object, const char *name, int flags) {
    bool everywhere = strcmp(name, "mem") == 0;
    bool tagged = atomic_load(&worker->shared->objects[object].tagged);
    // It may move between two tries, any number of times.
    double limit = seconds_now() + 15;
    do {
        char path[4096];
        object_path(worker, object, tagged, name, path);
        int fd = open(path, flags | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            fail_errno("worker %u: open %s", worker->index, path);
        tagged = everywhere ? !tagged : true;
        if (!everywhere && below(worker, 4) == 0)
            return -1;
    } while (seconds_now() < limit);
    fail("worker %u: object %u is in neither directory", worker->index, object);
}

static void view_name(int alias, char *name) {
    if (alias == object_mem)
        strcpy(name, "mem");
    else
        sprintf(name, "views/%x", alias);
}

int object_fd(struct object_worker *worker, unsigned object, int alias) {
    char name[16];
    view_name(alias, name);
    int *fd = &worker->fds[object][alias];
    if (*fd < 0)
        *fd = open_in_object(worker, object, name, O_RDWR);
    return *fd;
}

void close_object_fd(struct object_worker *worker, int alias, int fd) {
    if (close(fd) != 0 && !(errno == EIO && alias != object_mem))
        fail_errno("worker %u: close", worker->index);
}

void close_some_object_fd(struct object_worker *worker) {
    unsigned object = below(worker, worker->options->objects);
    int alias = (int)below(worker, tag_count + 1), *fd = &worker->fds[object][alias];
    if (*fd < 0)
        return;
    object_begin(worker, object_close, (int)object);
    close_object_fd(worker, alias, *fd);
    *fd = -1;
    object_done(worker, object_close);
}

// MARK: Mappings

static void unmap_object(struct object_worker *worker, struct object_mapping *mapping) {
    if (mapping->address == NULL)
        return;
    object_begin(worker, object_unmapping, (int)mapping->object);
    if (munmap(mapping->address, mapping->length) != 0)
        fail_errno("worker %u: munmap", worker->index);
    mapping->address = NULL;
    object_done(worker, object_unmapping);
}

void unmap_some_object(struct object_worker *worker) {
    unmap_object(worker, &worker->mappings[below(worker, object_mappings)]);
}

uint8_t *object_map(struct object_worker *worker, unsigned object, int alias) {
    for (int i = 0; i < object_mappings; i++) {
        struct object_mapping *mapping = &worker->mappings[i];
        if (mapping->address != NULL && mapping->object == object && mapping->alias == alias)
            return mapping->address;
    }
    int fd = object_fd(worker, object, alias);
    if (fd < 0)
        return NULL;
    struct object_mapping *mapping = &worker->mappings[below(worker, object_mappings)];
    unmap_object(worker, mapping);
    object_begin(worker, object_mapping, (int)object);
    size_t length = (base_pages + maximum_rest) * page_size;
    uint8_t *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED)
        fail_errno("worker %u: mmap", worker->index);
    *mapping = (struct object_mapping){address, length, object, alias};
    object_done(worker, object_mapping);
    return address;
}

// MARK: Words

uint64_t stamp(unsigned object, unsigned page, unsigned granule, uint32_t sequence) {
    return (uint64_t)(object + 1) << 56 | (uint64_t)page << 40 | (uint64_t)granule << 32 | sequence;
}

void expect_own_words(
    struct object_worker *worker, unsigned object, unsigned page, const void *bytes, size_t length, const char *how
) {
    for (size_t at = 0; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)bytes + at, 8);
        if (word != 0 && word >> 32 != stamp(object, page, at / granule_size, 0) >> 32)
            fail("foreign bytes: worker %u, object %u, page %u, offset %#zx, %s: %#018llx", worker->index, object, page,
                 at, how, (unsigned long long)word);
    }
}

// MARK: Beginning and end

void open_object_worker(struct object_worker *worker, struct object_shared *shared, unsigned index) {
    *worker = (struct object_worker){.shared = shared, .options = &shared->options, .index = index, .physical = -1};
    worker->status = &shared->status[index];
    worker->random.state = shared->options.seed * 0x1000003 + index;
    for (unsigned object = 0; object < maximum_objects; object++)
        for (int alias = 0; alias <= tag_count; alias++)
            worker->fds[object][alias] = -1;
    atomic_store(&worker->status->process, getpid());
    atomic_store(&worker->status->task, (int)syscall(SYS_gettid));
}

void close_object_worker(struct object_worker *worker) {
    for (int i = 0; i < object_mappings; i++)
        unmap_object(worker, &worker->mappings[i]);
    if (worker->physical_map != NULL)
        munmap(worker->physical_map, page_size);
    if (worker->physical >= 0)
        close(worker->physical);
    for (unsigned object = 0; object < maximum_objects; object++)
        for (int alias = 0; alias <= tag_count; alias++)
            if (worker->fds[object][alias] >= 0)
                close_object_fd(worker, alias, worker->fds[object][alias]);
}
