/// `aio`: many requests at once, by threads and by io_uring.
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    region_size = 64 * 1024,
    maximum_threads = 64,
    tag = 5,
    other_tag = 12,
    ring_entries = 64,
    ring_rounds = 12,
    ring_request_size = region_size / ring_entries,
};

struct aio {
    const char *directory;
    off_t base;
    int mem, view, other_view, checked;
    double end;
    _Atomic uint64_t requests;
};

// MARK: Threads

struct region {
    struct aio *test;
    unsigned index;
};

/// Reads and writes of any size and place within the thread's own region, against a copy of it.
static void *run_region(void *argument) {
    struct region *region = argument;
    struct aio *test = region->test;
    off_t base = test->base + (off_t)region->index * region_size;
    struct random random = {region->index + 1};
    uint8_t *model = calloc(2, region_size), *buffer = model + region_size;
    if (model == NULL)
        fail("no memory");
    write_exactly(test->mem, model, region_size, base, "mem");
    while (seconds_now() < test->end) {
        size_t length = 1 + random_below(&random, random_below(&random, 4) == 0 ? region_size : 512);
        size_t at = random_below(&random, (unsigned)(region_size - length + 1));
        unsigned way = random_below(&random, 3);
        int fd = way == 0 ? test->mem : way == 1 ? test->view : test->checked;
        const char *name = way == 0 ? "mem" : way == 1 ? "view" : "checked";
        off_t offset = way == 2 ? tagged_offset(base + (off_t)at, tag) : base + (off_t)at;
        if (random_below(&random, 2) == 0) {
            memset(model + at, (int)random_next(&random), length);
            write_exactly(fd, model + at, length, offset, name);
        } else {
            read_exactly(fd, buffer, length, offset, name);
            expect_equal(buffer, model + at, length, name);
        }
        if (random_below(&random, 8) == 0)
            expect_read(test->other_view, buffer, length, base + (off_t)at, 0, "a view of another tag");
        atomic_fetch_add(&test->requests, 1);
    }
    read_exactly(test->mem, buffer, region_size, base, "mem");
    expect_equal(buffer, model, region_size, "mem at the end");
    free(model);
    return NULL;
}

// MARK: io_uring

static void expect_result(const struct uring_request *request, int expected, const char *what) {
    if (request->result == expected)
        return;
    if (request->result < 0)
        fail("%s: %s, not %d", what, errno_name(-request->result), expected);
    fail("%s: %d, not %d", what, request->result, expected);
}

static void run_ring(struct aio *test, struct uring *uring, int write_fd, int read_fd, const char *what) {
    static _Alignas(page_size) uint8_t model[region_size], found[region_size];
    struct uring_request requests[ring_entries];
    struct random random = {7};
    step("io_uring, %s", what);
    for (unsigned round = 0; round < ring_rounds; round++) {
        for (unsigned i = 0; i < ring_entries; i++) {
            // Neighbours share pages: a page's writes are under way at once.
            size_t at = i * ring_request_size;
            memset(model + at, (int)random_next(&random), ring_request_size);
            requests[i] = (struct uring_request){
                .write = true, .fd = write_fd, .buffer = model + at, .length = ring_request_size,
                .offset = test->base + (off_t)at};
        }
        uring_run(uring, requests, ring_entries);
        for (unsigned i = 0; i < ring_entries; i++) {
            expect_result(&requests[i], ring_request_size, what);
            requests[i].write = false;
            requests[i].fd = read_fd;
            requests[i].buffer = found + i * ring_request_size;
        }
        uring_run(uring, requests, ring_entries);
        for (unsigned i = 0; i < ring_entries; i++)
            expect_result(&requests[i], ring_request_size, what);
        expect_equal(found, model, region_size, what);
        for (unsigned i = 0; i < ring_entries; i++)
            requests[i].fd = test->other_view;
        uring_run(uring, requests, ring_entries);
        for (unsigned i = 0; i < ring_entries; i++)
            expect_result(&requests[i], -EFAULT, "a view of another tag");
        atomic_fetch_add(&test->requests, 3 * ring_entries);
    }
}

/// Says so if the kernel refuses: a test that did not happen must be seen.
static void ring(struct aio *test) {
    struct uring uring;
    step("io_uring_setup");
    if (!uring_open(&uring, ring_entries)) {
        if (errno != ENOSYS && errno != EPERM)
            fail_errno("io_uring_setup");
        printf("not tested: the kernel refuses io_uring_setup: %s\n", errno_name(errno));
        return;
    }
    run_ring(test, &uring, test->mem, test->view, "mem to view");
    run_ring(test, &uring, test->view, test->mem, "view to mem");
    int direct = open_view(test->directory, tag, O_RDWR | O_DIRECT);
    run_ring(test, &uring, direct, direct, "O_DIRECT");
    close(direct);
    uring_close(&uring);
}

int aio_main(int count, char **arguments) {
    if (count < 2 || count > 4)
        usage();
    struct aio test = {.directory = arguments[0], .base = parse_offset(arguments[1], page_size)};
    unsigned threads = count > 2 ? (unsigned)parse_number(arguments[2]) : 16;
    double seconds = count > 3 ? (double)parse_number(arguments[3]) : 3;
    if (threads < 1 || threads > maximum_threads || seconds > 60)
        usage();
    step("setting up");
    test.mem = open_file(test.directory, "mem", O_RDWR);
    test.view = open_view(test.directory, tag, O_RDWR);
    test.other_view = open_view(test.directory, other_tag, O_RDWR);
    test.checked = open_file(test.directory, "checked", O_RDWR);
    int tags = open_file(test.directory, "tags", O_RDWR);
    set_page_tags(tags, test.base, (size_t)threads * region_size / page_size, tag);
    test.end = seconds_now() + seconds;

    step("%u threads", threads);
    pthread_t handles[maximum_threads];
    struct region regions[maximum_threads];
    for (unsigned i = 0; i < threads; i++) {
        regions[i] = (struct region){&test, i};
        if (pthread_create(&handles[i], NULL, run_region, &regions[i]) != 0)
            fail("pthread_create");
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    uint64_t by_threads = atomic_load(&test.requests);
    ring(&test);
    printf("ok aio threads=%llu io_uring=%llu\n", (unsigned long long)by_threads,
           (unsigned long long)(atomic_load(&test.requests) - by_threads));
    return 0;
}
