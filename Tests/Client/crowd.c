/// `crowd`: thousands of threads that wait for pages that change hands all the time, and somebody who wants others.
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { shared_pages = 256, few_pages = 16, few_readers = 20, stack_size = 256 << 10, most_samples = 100000 };

static int mem;
static uint8_t buffer[shared_pages * page_size];
static size_t read_pages;
static double think;
static atomic_ulong reads;
static atomic_bool over;

/// All read into the same memory: nobody looks at it.
static void *read_on(void *argument) {
    struct random random = {(uintptr_t)argument};
    while (!over) {
        off_t offset = (off_t)random_below(&random, (unsigned)(shared_pages - read_pages + 1)) * page_size;
        read_exactly(mem, buffer, read_pages * page_size, offset, "pages that change hands");
        reads++;
        if (think > 0)
            sleep_seconds(think);
    }
    return NULL;
}

/// Dirties the pages through a view and reads them through another file, in a process of its own.
static pid_t change_hands(const char *directory) {
    pid_t child = fork();
    if (child < 0)
        fail_errno("fork");
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int checked = open_file(directory, "checked", O_RDWR);
    uint8_t *map = map_file(open_view(directory, 0, O_RDWR), 0, shared_pages * page_size, PROT_READ | PROT_WRITE);
    for (unsigned round = 0;; round++) {
        size_t at = round * 37 % shared_pages * page_size;
        uint8_t byte;
        expect_store(map + at, (uint8_t)round, "through the view");
        read_exactly(checked, &byte, 1, (off_t)(round * 53 % shared_pages * page_size), "through checked");
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// What a read of 16 bytes takes in the middle, in seconds.
static double median_read(int fd, double seconds) {
    static double samples[most_samples];
    size_t count = 0;
    double end = seconds_now() + seconds, begin;
    while ((begin = seconds_now()) < end && count < most_samples) {
        uint8_t granule[granule_size];
        read_exactly(fd, granule, sizeof granule, 0, "elsewhere");
        samples[count++] = seconds_now() - begin;
        sleep_seconds(0.001);
    }
    qsort(samples, count, sizeof *samples, compare);
    return samples[count / 2];
}

/// What so many readers of so many pages each do, and what a read elsewhere takes beside them.
struct crowd {
    double rate, elsewhere;
};

static struct crowd measure(size_t readers, size_t pages, double pause, int other, double seconds) {
    step("%zu readers of %zu pages that change hands", readers, pages);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    pthread_t *threads = malloc(readers * sizeof *threads);
    over = false;
    read_pages = pages;
    think = pause;
    for (size_t i = 0; i < readers; i++)
        if (pthread_create(&threads[i], &attributes, read_on, (void *)i) != 0)
            fail("no thread");
    sleep_seconds(0.3);
    unsigned long before = reads;
    double begin = seconds_now(), elsewhere = median_read(other, seconds);
    struct crowd crowd = {(double)(reads - before) / (seconds_now() - begin), elsewhere};
    over = true;
    for (size_t i = 0; i < readers; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    printf("%zu readers of %zu pages: reads/s=%.0f elsewhere=%.3f ms\n", readers, pages, crowd.rate, elsewhere * 1e3);
    return crowd;
}

int crowd_main(int count, char **arguments) {
    if (count != 5)
        usage();
    double seconds = (double)parse_number(arguments[1]), bound = (double)parse_number(arguments[4]) / 1e3;
    size_t readers = parse_number(arguments[2]), waiters = parse_number(arguments[3]);
    catch_faults();
    mem = make_object(arguments[0], "tagged/crowd");
    int other = make_object(arguments[0], "tagged/elsewhere");
    if (ftruncate(mem, shared_pages * page_size) != 0 || ftruncate(other, page_size) != 0)
        fail_errno("ftruncate");
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/tagged/crowd", arguments[0]);
    pid_t child = change_hands(directory);
    struct crowd few = measure(few_readers, few_pages, 0, other, seconds);
    struct crowd many = measure(readers, few_pages, 0, other, seconds);
    // Such a read waits as long as one of all the pages is away, and then begins anew a second later: there is little to do.
    struct crowd waiting = measure(waiters, shared_pages, 1, other, seconds);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (many.rate < few.rate / 4)
        fail("%zu readers do less than a quarter of what %d do", readers, few_readers);
    if (waiting.elsewhere > bound)
        fail("a read elsewhere takes more than %.0f ms beside %zu readers that wait", bound * 1e3, waiters);
    printf("ok crowd\n");
    return 0;
}
