#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *alias_name(int alias) {
    static const char *const names[alias_count] = {
        "views/0", "views/1", "views/2", "views/3", "views/4", "views/5", "views/6",
        "views/7", "views/8", "views/9", "views/a", "views/b", "views/c", "views/d",
        "views/e", "views/f", "mem",     "checked", "tags",    "tags.hex", "mem (tag storage)",
    };
    return alias < 0 || alias >= alias_count ? "no alias" : names[alias];
}

void begin(struct worker *worker, enum kind kind, int alias, unsigned page) {
    atomic_store_explicit(&worker->status->kind, (int)kind, memory_order_relaxed);
    atomic_store_explicit(&worker->status->alias, alias, memory_order_relaxed);
    atomic_store_explicit(&worker->status->page, (int)page, memory_order_relaxed);
    atomic_fetch_add_explicit(&worker->status->beats, 1, memory_order_relaxed);
}

void count_done(struct worker *worker, enum kind kind) {
    atomic_fetch_add_explicit(&worker->shared->done[kind], 1, memory_order_relaxed);
}

void count_refused(struct worker *worker, enum kind kind) {
    atomic_fetch_add_explicit(&worker->shared->refused[kind], 1, memory_order_relaxed);
}

bool chance(struct worker *worker, unsigned percent) {
    return random_below(&worker->random, 100) < percent;
}

bool refusable(const struct options *options, bool store, bool mapped) {
    if (options->plain || options->mode == mode_none || options->mode == mode_async)
        return false;
    return options->mode == mode_sync || !store || mapped;
}

/// Whether fsync and close may have an asynchronous fault to report.
static bool defers(const struct worker *worker, int alias) {
    bool tag_checked = alias < tag_count || alias == alias_checked;
    return tag_checked && (worker->options->mode == mode_async || worker->options->mode == mode_asymm);
}

// MARK: Offsets

off_t page_offset(const struct worker *worker, unsigned page) {
    return worker->options->base + (off_t)page * page_size;
}

off_t alias_offset(const struct worker *worker, int alias, unsigned page, unsigned granule, unsigned tag) {
    off_t offset = page_offset(worker, page) + (off_t)granule * granule_size;
    switch (alias) {
    case alias_checked:
        return worker->options->plain ? offset : tagged_offset(offset, tag);
    case alias_tags:
        return offset / 32;
    case alias_hex:
        return offset / 16;
    case alias_tag_memory:
        return worker->options->tag_memory + (offset - worker->options->base) / 32;
    default:
        return offset;
    }
}

// MARK: Descriptors

static int open_alias(struct worker *worker, int alias, int flags) {
    return open_file(worker->options->directory, alias == alias_tag_memory ? "mem" : alias_name(alias), flags);
}

int alias_fd(struct worker *worker, int alias) {
    if (worker->fds[alias] < 0)
        worker->fds[alias] = open_alias(worker, alias, O_RDWR);
    return worker->fds[alias];
}

void close_fd(struct worker *worker, int alias, int fd) {
    if (close(fd) != 0 && !(errno == EIO && defers(worker, alias)))
        fail_errno("worker %u: close of %s", worker->index, alias_name(alias));
}

void close_some_fd(struct worker *worker) {
    int alias = (int)random_below(&worker->random, alias_count);
    begin(worker, reopen_file, alias, 0);
    if (worker->fds[alias] < 0)
        return;
    close_fd(worker, alias, worker->fds[alias]);
    worker->fds[alias] = -1;
    count_done(worker, reopen_file);
}

// MARK: Mappings

static void unmap_one(struct worker *worker, struct mapping *mapping) {
    begin(worker, unmap_page, mapping->alias, 0);
    if (munmap(mapping->address, mapping->length) != 0)
        fail_errno("worker %u: munmap of %s", worker->index, alias_name(mapping->alias));
    mapping->address = NULL;
    count_done(worker, unmap_page);
}

uint8_t *get_mapping(struct worker *worker, int alias, off_t offset, size_t length, bool writable) {
    struct mapping *free = NULL;
    for (int i = 0; i < maximum_mappings; i++) {
        struct mapping *mapping = &worker->mappings[i];
        if (mapping->address == NULL) {
            free = mapping;
            continue;
        }
        if (mapping->alias == alias && (mapping->writable || !writable) && offset >= mapping->offset
            && offset + (off_t)length <= mapping->offset + (off_t)mapping->length)
            return mapping->address + (offset - mapping->offset);
    }
    if (free == NULL) {
        free = &worker->mappings[random_below(&worker->random, maximum_mappings)];
        unmap_one(worker, free);
    }
    begin(worker, map_page, alias, 0);
    // The whole range now and then, so that the kernel reads ahead and faults around.
    const struct options *options = worker->options;
    bool all = alias <= alias_mem && chance(worker, 40);
    off_t start = offset & ~(off_t)(page_size - 1);
    free->offset = all ? options->base : start;
    free->length = all ? (size_t)options->pages * page_size : (size_t)(offset + (off_t)length - start);
    free->length = (free->length + page_size - 1) / page_size * page_size;
    free->alias = alias;
    free->writable = writable || chance(worker, 60);
    int fd = free->writable ? alias_fd(worker, alias) : open_alias(worker, alias, O_RDONLY);
    int protection = PROT_READ | (free->writable ? PROT_WRITE : 0);
    free->address = mmap(NULL, free->length, protection, MAP_SHARED, fd, free->offset);
    if (free->address == MAP_FAILED)
        fail_errno("worker %u: mmap of %s at %#llx", worker->index, alias_name(alias),
                   (unsigned long long)free->offset);
    if (!free->writable)
        close_fd(worker, alias, fd);
    count_done(worker, map_page);
    return free->address + (offset - free->offset);
}

void unmap(struct worker *worker, const uint8_t *address) {
    for (int i = 0; i < maximum_mappings; i++) {
        struct mapping *mapping = &worker->mappings[i];
        if (mapping->address != NULL && address >= mapping->address && address < mapping->address + mapping->length)
            unmap_one(worker, mapping);
    }
}

void sync_mapping(struct worker *worker, int alias, const uint8_t *address, size_t length) {
    uintptr_t start = (uintptr_t)address & ~(uintptr_t)(page_size - 1);
    size_t whole = (uintptr_t)address + length - start;
    if (msync((void *)start, whole, MS_SYNC) != 0 && !(errno == EIO && defers(worker, alias)))
        fail_errno("worker %u: msync of %s", worker->index, alias_name(alias));
}

// MARK: Beginning and end

void open_worker(struct worker *worker, struct shared *shared, unsigned index) {
    *worker = (struct worker){.shared = shared, .options = &shared->options, .index = index};
    worker->status = &shared->status[index];
    worker->random.state = shared->options.seed * 0x1000003 + index;
    for (int alias = 0; alias < alias_count; alias++)
        worker->fds[alias] = -1;
    atomic_store(&worker->status->process, getpid());
    atomic_store(&worker->status->task, (int)syscall(SYS_gettid));
}

void close_worker(struct worker *worker) {
    for (int i = 0; i < maximum_mappings; i++)
        if (worker->mappings[i].address != NULL)
            unmap_one(worker, &worker->mappings[i]);
    for (int alias = 0; alias < alias_count; alias++)
        if (worker->fds[alias] >= 0)
            close_fd(worker, alias, worker->fds[alias]);
}
