/// `revoke`: a change of tags takes pages away from existing mappings, at once and without losing a byte.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { first_tag = 5, second_tag = 9, probe = 0x128, pattern_length = 64, pattern_at = 0x340 };

struct revoke {
    const char *directory;
    off_t base;
    int mem, tags, first, second;
    /// The page through the view of `first_tag`.
    uint8_t *map;
    uint8_t pattern[pattern_length];
};

static void store_pattern(struct revoke *test, uint8_t seed) {
    for (int i = 0; i < pattern_length; i++) {
        test->pattern[i] = (uint8_t)(seed + i * 3);
        expect_store(test->map + pattern_at + i, test->pattern[i], "the page's own view");
    }
    expect_store(test->map + probe, seed, "the page's own view");
}

/// The page now has `second_tag`: its old mapping faults, and everything else shows what was stored in it.
static void expect_revoked(struct revoke *test) {
    expect_load_fault(test->map + probe, "load through the old tag's mapping");
    expect_store_fault(test->map + probe + 3, "store through the old tag's mapping");
    uint8_t found[pattern_length];
    read_exactly(test->mem, found, sizeof found, test->base + pattern_at, "mem after a retag");
    expect_equal(found, test->pattern, sizeof found, "mem after a retag");
    read_exactly(test->second, found, sizeof found, test->base + pattern_at, "the new view after a retag");
    expect_equal(found, test->pattern, sizeof found, "the new view after a retag");
    expect_read(test->first, found, sizeof found, test->base + pattern_at, 0, "the old view after a retag");
    uint8_t *map = map_file(test->second, test->base, page_size, PROT_READ | PROT_WRITE);
    for (int i = 0; i < pattern_length; i++)
        found[i] = expect_load(map + pattern_at + i, "a mapping of the new view");
    expect_equal(found, test->pattern, sizeof found, "a mapping of the new view");
    munmap(map, page_size);
    map = map_file(test->mem, test->base, page_size, PROT_READ | PROT_WRITE);
    for (int i = 0; i < pattern_length; i++)
        found[i] = expect_load(map + pattern_at + i, "a mapping of mem");
    expect_equal(found, test->pattern, sizeof found, "a mapping of mem");
    munmap(map, page_size);
}

static void restore_tag(struct revoke *test) {
    set_page_tags(test->tags, test->base, 1, first_tag);
    for (int i = 0; i < pattern_length; i++)
        if (expect_load(test->map + pattern_at + i, "the mapping after its tag came back") != test->pattern[i])
            fail("byte %d is not what was stored before the retag", i);
}

// MARK: Ways to change a tag

static void retag_hex(struct revoke *test) {
    char digits[granules_per_page];
    memset(digits, "0123456789abcdef"[second_tag], sizeof digits);
    int fd = open_file(test->directory, "tags.hex", O_RDWR);
    write_exactly(fd, digits, sizeof digits, test->base / 16, "tags.hex");
    close(fd);
}

/// Through a mapping of `tags` or `tags.hex`: the change is there when msync returns.
static void retag_mapped(struct revoke *test, const char *name, off_t offset, size_t length, int value) {
    int fd = open_file(test->directory, name, O_RDWR);
    off_t start = offset & ~(off_t)(page_size - 1);
    uint8_t *map = map_file(fd, start, page_size, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < length; i++)
        expect_store(map + (offset - start) + i, (uint8_t)value, name);
    if (msync(map, page_size, MS_SYNC) != 0)
        fail_errno("msync of %s", name);
    munmap(map, page_size);
    close(fd);
}

static void one_granule(struct revoke *test) {
    enum { granule = 7 };
    uint8_t buffer[page_size];
    set_granule_tag(test->tags, test->base + granule * granule_size, second_tag);
    expect_load_fault(test->map + probe, "a page with one other granule");
    expect_read(test->first, buffer, page_size, test->base, granule * granule_size, "up to the other granule");
    expect_read(test->first, buffer, 1, test->base + granule * granule_size + 15, 0, "the other granule");
    expect_read(test->first, buffer, 8, test->base + (granule + 1) * granule_size, 8, "after the other granule");
    expect_read(test->second, buffer, 64, test->base + granule * granule_size + 4, 12, "the other granule's rest");
}

static void change_mode(struct revoke *test) {
    char mode[32] = {0};
    int fd = open_file(test->directory, "mode", O_RDWR);
    ssize_t length = pread(fd, mode, sizeof mode - 1, 0);
    if (length <= 0)
        fail_errno("read mode");
    set_page_tags(test->tags, test->base, 1, second_tag);
    expect_load_fault(test->map + probe, "sync mode");
    write_exactly(fd, "none\n", 5, 0, "mode");
    uint8_t value = expect_load(test->map + probe, "mode none");
    expect_store(test->map + probe, (uint8_t)(value + 1), "mode none");
    write_exactly(fd, mode, (size_t)length, 0, "mode");
    expect_load_fault(test->map + probe, "sync mode again");
    uint8_t found;
    read_exactly(test->mem, &found, 1, test->base + probe, "mem");
    if (found != (uint8_t)(value + 1))
        fail("what was stored in mode none is gone");
    close(fd);
}

// MARK: Processes that share the mapping

enum { children = 3 };

static void expect_token(int fd, const char *what) {
    char token;
    if (read(fd, &token, 1) != 1)
        fail("%s ended early", what);
}

static void send_token(int fd) {
    if (write(fd, "x", 1) != 1)
        fail_errno("write to a pipe");
}

/// One child: stores its byte, then finds the page gone, then finds it back with everyone's bytes.
static void run_child(struct revoke *test, int number, int from_parent, int to_parent) {
    step("a process that shares the mapping");
    expect_store(test->map + number, (uint8_t)(0xc0 + number), "child's store");
    send_token(to_parent);
    expect_token(from_parent, "parent");
    expect_load_fault(test->map + number, "child's load after the retag");
    expect_store_fault(test->map + number + 64, "child's store after the retag");
    send_token(to_parent);
    expect_token(from_parent, "parent");
    for (int i = 0; i < children; i++)
        if (expect_load(test->map + i, "child's load after the tag came back") != 0xc0 + i)
            fail("child %d does not see what child %d stored", number, i);
    _exit(0);
}

static void share(struct revoke *test) {
    int down[children][2], up[children][2];
    pid_t process[children];
    for (int i = 0; i < children; i++) {
        if (pipe2(down[i], O_CLOEXEC) != 0 || pipe2(up[i], O_CLOEXEC) != 0)
            fail_errno("pipe2");
        process[i] = fork();
        if (process[i] < 0)
            fail_errno("fork");
        if (process[i] == 0) {
            close(down[i][1]);
            close(up[i][0]);
            run_child(test, i, down[i][0], up[i][1]);
        }
        close(down[i][0]);
        close(up[i][1]);
    }
    for (int i = 0; i < children; i++)
        expect_token(up[i][0], "child");
    set_page_tags(test->tags, test->base, 1, second_tag);
    uint8_t found[children];
    read_exactly(test->mem, found, sizeof found, test->base, "mem");
    for (int i = 0; i < children; i++)
        if (found[i] != 0xc0 + i)
            fail("child %d's store is lost: mem has %#x", i, found[i]);
    for (int i = 0; i < children; i++)
        send_token(down[i][1]);
    for (int i = 0; i < children; i++)
        expect_token(up[i][0], "child");
    set_page_tags(test->tags, test->base, 1, first_tag);
    for (int i = 0; i < children; i++) {
        int status;
        send_token(down[i][1]);
        if (waitpid(process[i], &status, 0) != process[i] || status != 0)
            fail("child %d ended with status %#x", i, status);
        close(down[i][1]);
        close(up[i][0]);
    }
}

// MARK: A thread that stores all the time

enum { rounds = 40, counter_at = 0x800 };

struct hammer {
    struct revoke *test;
    /// The last value whose store retired; how often the thread found the page gone; the round it may go on with.
    _Atomic uint64_t stored;
    _Atomic unsigned faults, allowed;
};

static void *run_hammer(void *argument) {
    struct hammer *hammer = argument;
    uint64_t next = 1;
    for (unsigned round = 0; round < rounds;) {
        if (guarded_store(hammer->test->map + counter_at, &next, sizeof next, NULL, NULL)) {
            atomic_store(&hammer->stored, next++);
            continue;
        }
        atomic_fetch_add(&hammer->faults, 1);
        round++;
        while (atomic_load(&hammer->allowed) < round)
            sleep_seconds(0.0001);
    }
    return NULL;
}

static void retag_under_stores(struct revoke *test) {
    struct hammer hammer = {.test = test};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_hammer, &hammer) != 0)
        fail("pthread_create");
    for (unsigned round = 1; round <= rounds; round++) {
        uint64_t before = atomic_load(&hammer.stored), found;
        double limit = seconds_now() + 10;
        while (atomic_load(&hammer.stored) < before + 10)
            if (seconds_now() > limit)
                fail("round %u: the thread does not get to store", round);
        set_page_tags(test->tags, test->base, 1, second_tag);
        limit = seconds_now() + 10;
        while (atomic_load(&hammer.faults) < round)
            if (seconds_now() > limit)
                fail("round %u: stores go on after the retag", round);
        read_exactly(test->mem, &found, sizeof found, test->base + counter_at, "mem");
        if (found != atomic_load(&hammer.stored))
            fail("round %u: store %llu retired, mem has %llu", round, (unsigned long long)atomic_load(&hammer.stored),
                 (unsigned long long)found);
        set_page_tags(test->tags, test->base, 1, first_tag);
        atomic_store(&hammer.allowed, round);
    }
    pthread_join(thread, NULL);
}

int revoke_main(int count, char **arguments) {
    if (count != 2)
        usage();
    struct revoke test = {.directory = arguments[0], .base = parse_offset(arguments[1], page_size)};
    catch_faults();
    step("setting up");
    test.mem = open_file(test.directory, "mem", O_RDWR);
    test.tags = open_file(test.directory, "tags", O_RDWR);
    test.first = open_view(test.directory, first_tag, O_RDWR);
    test.second = open_view(test.directory, second_tag, O_RDWR);
    set_page_tags(test.tags, test.base, 1, first_tag);
    test.map = map_file(test.first, test.base, page_size, PROT_READ | PROT_WRITE);

    step("retag through tags");
    store_pattern(&test, 1);
    set_page_tags(test.tags, test.base, 1, second_tag);
    expect_revoked(&test);
    restore_tag(&test);
    step("retag through tags.hex");
    store_pattern(&test, 2);
    retag_hex(&test);
    expect_revoked(&test);
    restore_tag(&test);
    step("retag through a mapping of tags");
    store_pattern(&test, 3);
    retag_mapped(&test, "tags", test.base / 32, tag_bytes_per_page, second_tag * 0x11);
    expect_revoked(&test);
    restore_tag(&test);
    step("retag through a mapping of tags.hex");
    store_pattern(&test, 4);
    retag_mapped(&test, "tags.hex", test.base / 16, granules_per_page, "0123456789abcdef"[second_tag]);
    expect_revoked(&test);
    restore_tag(&test);
    step("retag of one granule");
    store_pattern(&test, 5);
    one_granule(&test);
    restore_tag(&test);
    step("change of mode");
    change_mode(&test);
    set_page_tags(test.tags, test.base, 1, first_tag);
    step("processes that share the mapping");
    share(&test);
    step("retag under stores");
    retag_under_stores(&test);
    printf("ok revoke\n");
    return 0;
}
