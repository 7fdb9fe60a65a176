#include "objects.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/// Stores to a mapping of an object that nobody else knows, and finds it again, also after the object was removed.
void live_shortly(struct object_worker *worker) {
    enum { pages = 6 };
    char path[4096], other[4096], mem[4128];
    bool tagged = below(worker, 2) == 0;
    unsigned name = worker->names++;
    static const char *const directories[] = {"untagged", "tagged"};
    snprintf(path, sizeof path, "%s/%s/short%u.%u", worker->options->mountpoint, directories[tagged], worker->index, name);
    snprintf(other, sizeof other, "%s/%s/short%u.%u", worker->options->mountpoint, directories[!tagged], worker->index,
             name);
    snprintf(mem, sizeof mem, "%s/mem", path);
    object_begin(worker, short_lived, -1);
    if (mkdir(path, 0755) != 0)
        fail_errno("worker %u: mkdir %s", worker->index, path);
    int fd = open(mem, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail_errno("worker %u: open %s", worker->index, mem);
    uint8_t *map = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fail_errno("worker %u: mmap %s", worker->index, mem);
    bool sized = ftruncate(fd, pages * page_size) == 0;
    if (!sized && errno != ENOSPC)
        fail_errno("worker %u: the size of %s", worker->index, mem);
    uint64_t words[pages * page_size / 8];
    for (unsigned i = 0; i < pages * page_size / 8; i++)
        words[i] = (uint64_t)(0x5000 + worker->index) << 48 | (uint64_t)name << 16 | i;
    if (sized && !guarded_store(map, words, sizeof words, NULL, NULL))
        fail("worker %u: SIGBUS in a new object", worker->index);
    if (below(worker, 2) == 0) {
        bool moved = rename(path, other) == 0;
        if (!moved && (errno != ENOSPC || tagged))
            fail_errno("worker %u: mv %s %s", worker->index, path, other);
        if (moved)
            strcpy(path, other);
    }
    bool in_use = below(worker, 2) == 0;
    if (in_use && rmdir(path) != 0)
        fail_errno("worker %u: rmdir %s", worker->index, path);
    if (sized) {
        static _Thread_local uint64_t found[pages * page_size / 8];
        if (below(worker, 2) == 0)
            read_exactly(fd, found, sizeof found, 0, "a short-lived object");
        else if (!guarded_load(found, map, sizeof found, NULL, NULL))
            fail("worker %u: SIGBUS in a short-lived object", worker->index);
        expect_equal(found, words, sizeof words, in_use ? "an object removed in use" : "a short-lived object");
    }
    bool closes_first = below(worker, 2) == 0;
    if (closes_first)
        close(fd);
    munmap(map, pages * page_size);
    if (!closes_first)
        close(fd);
    if (!in_use && rmdir(path) != 0)
        fail_errno("worker %u: rmdir %s", worker->index, path);
    (sized ? object_done : object_refused)(worker, in_use ? removed_in_use : short_lived);
}

int set_knob(const char *mountpoint, const char *name, const char *line) {
    char path[4096];
    snprintf(path, sizeof path, "%s/control/%s", mountpoint, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail_errno("open %s", path);
    int error = write(fd, line, strlen(line)) == (ssize_t)strlen(line) ? 0 : errno;
    close(fd);
    return error;
}

void compact_device(struct object_worker *worker) {
    object_begin(worker, compact_now, -1);
    int error = set_knob(worker->options->mountpoint, "compact", "1\n");
    if (error != 0)
        fail("worker %u: control/compact: %s", worker->index, errno_name(error));
    object_done(worker, compact_now);
}

/// Pages for atomic allocations, which are in the way of everybody.
void set_aside(struct object_worker *worker) {
    char line[32];
    const char *name = below(worker, 2) == 0 ? "reserve_tagged" : "reserve_untagged";
    snprintf(line, sizeof line, "%u\n", below(worker, 2) == 0 ? 0 : below(worker, 40));
    object_begin(worker, change_reserve, -1);
    int error = set_knob(worker->options->mountpoint, name, line);
    if (error != 0)
        fail("worker %u: control/%s: %s", worker->index, name, errno_name(error));
    object_done(worker, change_reserve);
}

/// Reads the memory that everybody's pages are in, also by mapping it: those pages then may not move.
void look_at_physical(struct object_worker *worker) {
    uint8_t bytes[page_size];
    char path[4096];
    if (worker->physical < 0) {
        snprintf(path, sizeof path, "%s/phys/mem", worker->options->mountpoint);
        worker->physical = open(path, (below(worker, 2) == 0 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        if (worker->physical < 0)
            fail_errno("worker %u: open %s", worker->index, path);
        worker->physical_at = lseek(worker->physical, 0, SEEK_DATA);
    }
    struct stat status;
    if (fstat(worker->physical, &status) != 0)
        fail_errno("worker %u: fstat of phys/mem", worker->index);
    unsigned pages = (unsigned)((status.st_size - worker->physical_at) / page_size);
    off_t offset = worker->physical_at + (off_t)below(worker, pages) * page_size;
    if (below(worker, 2) == 0) {
        object_begin(worker, physical_read, -1);
        read_exactly(worker->physical, bytes, sizeof bytes, offset, "phys/mem");
        object_done(worker, physical_read);
        return;
    }
    object_begin(worker, physical_load, -1);
    if (worker->physical_map != NULL)
        munmap(worker->physical_map, page_size);
    worker->physical_map = map_file(worker->physical, offset, page_size, PROT_READ);
    if (!guarded_load(bytes, worker->physical_map, page_size, NULL, NULL))
        fail("worker %u: SIGBUS in phys/mem at %#llx", worker->index, (unsigned long long)offset);
    object_done(worker, physical_load);
    // A descriptor of the other kind the next time, now and then.
    if (below(worker, 8) == 0) {
        close(worker->physical);
        worker->physical = -1;
    }
}

struct amounts read_amounts(const char *mountpoint) {
    char text[4096];
    int fd = open_file(mountpoint, "meminfo", O_RDONLY);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length <= 0)
        fail_errno("read meminfo");
    text[length] = 0;
    close(fd);
    struct amounts amounts;
    struct {
        const char *name;
        long *amount;
    } lines[] = {
        {"\nTagged:", &amounts.tagged},
        {"\nUntagged:", &amounts.untagged},
        {"\nFree:", &amounts.free},
        {"\nTagStorageReserved:", &amounts.reserved},
        {"\nTagStorageReservedBest:", &amounts.best},
        {"\nTagStorageReused:", &amounts.reused},
    };
    amounts.total = strtol(text + strlen("MemTotal:"), NULL, 10) * 1024 / page_size;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *line = strstr(text, lines[i].name);
        if (line == NULL)
            fail("meminfo has no line %s", lines[i].name + 1);
        *lines[i].amount = strtol(line + strlen(lines[i].name), NULL, 10) * 1024 / page_size;
    }
    return amounts;
}

void read_statistics(struct object_worker *worker) {
    object_begin(worker, statistics_read, -1);
    struct amounts amounts = read_amounts(worker->options->mountpoint);
    if (amounts.tagged + amounts.untagged + amounts.free + amounts.reserved != amounts.total)
        fail("meminfo does not add up: %ld tagged, %ld untagged, %ld free, %ld reserved, %ld in all", amounts.tagged,
             amounts.untagged, amounts.free, amounts.reserved, amounts.total);
    if (amounts.reserved < amounts.best)
        fail("%ld Tag Pages are reserved, %ld are needed", amounts.reserved, amounts.best);
    static const char *const files[] = {"blocks", "vmstat", "metrics", "map.svg", "control/pin", "control/compact"};
    char bytes[1 << 14];
    int fd = open_file(worker->options->mountpoint, files[below(worker, 6)], O_RDONLY);
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
    close(fd);
    object_done(worker, statistics_read);
}
