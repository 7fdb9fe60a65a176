/// `behind` and `rivals`: what shows behind an old end, and whether one of two changes that each fit is done.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

// MARK: Bytes behind the end

/// The end that is grown from, a byte behind it in the same page, and one far behind.
enum { old_end = 100, behind_end = 200, far_behind = 5 * page_size };

enum way { by_truncate, by_fallocate, by_write, by_write_far, ways };
static const char *const way_names[ways] = {"ftruncate", "fallocate", "pwrite", "pwrite far behind"};

static void grow(int fd, enum way way) {
    static const uint8_t one = 1;
    if (way == by_truncate && ftruncate(fd, page_size) != 0)
        fail_errno("ftruncate");
    if (way == by_fallocate && fallocate(fd, 0, 0, page_size) != 0)
        fail_errno("fallocate");
    if (way == by_write)
        write_exactly(fd, &one, 1, page_size - 1, "the last byte");
    if (way == by_write_far)
        write_exactly(fd, &one, 1, far_behind, "a byte far behind");
}

/// Stores through a mapping of `name` behind the end, grows, and tells whether that shows.
static bool shows_behind(const char *mountpoint, const char *name, enum way way, bool sync) {
    step("bytes behind the end through %s, grown by %s, %s", name, way_names[way], sync ? "written" : "dirty");
    int mem = make_object(mountpoint, "tagged/behind");
    if (ftruncate(mem, old_end) != 0)
        fail_errno("ftruncate");
    char path[4096];
    snprintf(path, sizeof path, "%s/tagged/behind", mountpoint);
    int fd = open_file(path, name, O_RDWR);
    uint8_t *map = map_file(fd, 0, page_size, PROT_READ | PROT_WRITE);
    expect_store(map + old_end - 1, 0x44, "before the end");
    expect_store(map + behind_end, 0x55, "behind the end");
    if (sync && msync(map, page_size, MS_SYNC) != 0)
        fail_errno("msync");
    grow(mem, way);
    uint8_t kept = 0, read = 0xff, loaded = expect_load(map + behind_end, "inside the new end");
    read_exactly(mem, &read, 1, behind_end, "inside the new end");
    read_exactly(mem, &kept, 1, old_end - 1, "before the old end");
    if (kept != 0x44)
        fail("what was stored before the end is %#x", kept);
    if (read != 0 || loaded != 0)
        printf("%s: pread=%#x load=%#x\n", current_step, read, loaded);
    munmap(map, page_size);
    close(fd);
    close(mem);
    remove_object(mountpoint, "tagged/behind");
    return read != 0 || loaded != 0;
}

int behind_main(int count, char **arguments) {
    bool page_cache = count == 2 && strcmp(arguments[1], "--page-cache") == 0;
    if (count != 1 && !page_cache)
        usage();
    catch_faults();
    unsigned shown = 0;
    static const char *const names[] = {"mem", "views/0"};
    for (int file = 0; file < 2; file++)
        for (enum way way = 0; way < ways; way++)
            for (int sync = 0; sync < 2; sync++)
                // There a write to the same page of the same file may be answered before the page has gone.
                if (!(page_cache && file == 0 && way == by_write))
                    shown += shows_behind(arguments[0], names[file], way, sync);
    if (shown != 0)
        fail("bytes behind the end show in %u cases", shown);
    printf("ok behind\n");
    return 0;
}

// MARK: Two changes that each fit

struct rival {
    /// Grows to `size`; or, if `from` is set, is moved to `to`.
    int fd;
    off_t size;
    char from[4096], to[4096];
    pthread_barrier_t *start;
    int error;
};

static void *run_rival(void *argument) {
    struct rival *rival = argument;
    pthread_barrier_wait(rival->start);
    int result = rival->from[0] != 0 ? rename(rival->from, rival->to) : ftruncate(rival->fd, rival->size);
    rival->error = result == 0 ? 0 : errno;
    return NULL;
}

static void race(struct rival rivals[2]) {
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, 2);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        rivals[i].start = &start;
        if (pthread_create(&threads[i], NULL, run_rival, &rivals[i]) != 0)
            fail("no thread");
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        if (rivals[i].error != 0 && rivals[i].error != ENOSPC)
            fail("rival %d: %s", i, errno_name(rivals[i].error));
    }
    pthread_barrier_destroy(&start);
}

/// The bytes that an object of the kind of `fd` can grow by, `percent` of them.
static off_t part_of_free(int fd, unsigned percent) {
    struct statvfs space;
    if (fstatvfs(fd, &space) != 0)
        fail_errno("fstatvfs");
    return (off_t)(space.f_bavail * percent / 100 * page_size);
}

/// Two growths of more than half of what is free.
static void race_growths(const char *mountpoint, unsigned round, unsigned *neither, unsigned *both) {
    static const char *const names[2] = {"tagged/one", "tagged/other"};
    static struct rival rivals[2];
    for (int i = 0; i < 2; i++)
        rivals[i].fd = make_object(mountpoint, names[i]);
    for (int i = 0; i < 2; i++)
        rivals[i].size = part_of_free(rivals[i].fd, 51 + round % 42);
    race(rivals);
    *neither += rivals[0].error != 0 && rivals[1].error != 0;
    *both += rivals[0].error == 0 && rivals[1].error == 0;
    for (int i = 0; i < 2; i++) {
        close(rivals[i].fd);
        remove_object(mountpoint, names[i]);
    }
}

/// A growth by all that is free, and an object that needs memory for its tags.
static void race_move(const char *mountpoint, unsigned *neither, unsigned *both) {
    static struct rival rivals[2];
    rivals[0].fd = make_object(mountpoint, "tagged/grown");
    int moved = make_object(mountpoint, "untagged/moved");
    if (ftruncate(moved, part_of_free(moved, 40)) != 0)
        fail_errno("ftruncate");
    rivals[0].size = part_of_free(rivals[0].fd, 100);
    snprintf(rivals[1].from, sizeof rivals[1].from, "%s/untagged/moved", mountpoint);
    snprintf(rivals[1].to, sizeof rivals[1].to, "%s/tagged/moved", mountpoint);
    race(rivals);
    *neither += rivals[0].error != 0 && rivals[1].error != 0;
    *both += rivals[0].error == 0 && rivals[1].error == 0;
    close(moved);
    close(rivals[0].fd);
    remove_object(mountpoint, rivals[1].error == 0 ? "tagged/moved" : "untagged/moved");
    remove_object(mountpoint, "tagged/grown");
}

int rivals_main(int count, char **arguments) {
    if (count != 2)
        usage();
    unsigned rounds = (unsigned)parse_number(arguments[1]), neither = 0, both = 0, no_move = 0, move = 0;
    for (unsigned round = 0; round < rounds; round++) {
        step("round %u", round);
        race_growths(arguments[0], round, &neither, &both);
        // What was given up comes back in the background: the next round asks for what is free then.
        sleep_seconds(0.01);
        race_move(arguments[0], &no_move, &move);
        sleep_seconds(0.01);
    }
    printf("rivals rounds=%u growths: neither=%u both=%u, growth and move: neither=%u both=%u\n", rounds, neither, both,
           no_move, move);
    if (neither + both + no_move != 0)
        fail("not exactly one is done");
    printf("ok rivals\n");
    return 0;
}
