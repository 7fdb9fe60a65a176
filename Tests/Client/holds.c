/// `holds`: how long a read of one object takes while something large is done to another.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Of each change: so often it is done, with so many reads looked at each time.
enum { rounds = 3, most_reads = 1 << 20, pinned_ranges = 4000 };

static const char *root;
static off_t large_size;
static int large, beside;
static char directory[4096];
static uint8_t *map;
static size_t mapped;

// MARK: The reader

static double times[most_reads];
static atomic_size_t read_count;
static atomic_bool over;

static void *read_on(void *argument) {
    (void)argument;
    uint8_t page[page_size];
    // Others who want the processor are no matter of the device.
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -10);
    while (!over) {
        double begin = seconds_now();
        read_exactly(beside, page, sizeof page, 0, "beside");
        if (read_count < most_reads)
            times[read_count++] = seconds_now() - begin;
    }
    return NULL;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// Of the reads while `change` is done: the worst, and that which one of a hundred takes longer than.
struct waits {
    double worst, late;
};

static struct waits waits_during(void (*change)(void)) {
    pthread_t reader;
    over = false;
    read_count = 0;
    if (pthread_create(&reader, NULL, read_on, NULL) != 0)
        fail("no thread");
    while (read_count < 100)
        sleep_seconds(0.001);
    change();
    over = true;
    pthread_join(reader, NULL);
    size_t count = read_count;
    qsort(times, count, sizeof *times, compare);
    return (struct waits){times[count - 1], times[count * 99 / 100]};
}

// MARK: The changes

static void nothing(void) {
    sleep_seconds(0.2);
}

static void resize(off_t size) {
    if (ftruncate(large, size) != 0)
        fail_errno("ftruncate to %lld", (long long)size);
}

static void cut(void) {
    resize(0);
}

static void grow(void) {
    resize(large_size);
}

static void allocate(void) {
    if (fallocate(large, FALLOC_FL_KEEP_SIZE, 0, large_size) != 0)
        fail_errno("fallocate");
}

static void seek_hole(void) {
    for (int i = 0; i < 10; i++)
        if (lseek(large, 0, SEEK_HOLE) != large_size)
            fail_errno("SEEK_HOLE");
}

static void write_file(const char *parent, const char *name, const char *text) {
    int fd = open_file(parent, name, O_WRONLY);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail_errno("write %s to %s", text, name);
    close(fd);
}

static void set_mode(void) {
    write_file(directory, "mode", "none\n");
    write_file(directory, "mode", "sync\n");
}

static void set_reserve(void) {
    char text[32];
    snprintf(text, sizeof text, "%lld\n", (long long)(large_size / page_size / 16));
    write_file(root, "control/reserve_untagged", text);
    write_file(root, "control/reserve_untagged", "0\n");
}

static void list_pins(void) {
    static char text[64 << 10];
    int fd = open_file(root, "control/pin", O_RDONLY);
    ssize_t length;
    size_t all = 0;
    while ((length = read(fd, text, sizeof text)) > 0)
        all += (size_t)length;
    if (length < 0 || all < pinned_ranges * 10)
        fail_errno("pins of %zu bytes", all);
    close(fd);
}

static void pin(void) {
    int fd = open_file(root, "control/pin", O_WRONLY);
    for (int i = 0; i < pinned_ranges; i++) {
        char text[100];
        int length = snprintf(text, sizeof text, "tagged/large %d 4096\n", i * 2 * page_size);
        if (pwrite(fd, text, (size_t)length, 0) != length)
            fail_errno("pin");
    }
    close(fd);
}

static void unpin(void) {
    char text[100];
    snprintf(text, sizeof text, "tagged/large 0 %d\n", pinned_ranges * 2 * page_size);
    write_file(root, "control/unpin", text);
}

/// Touches the pages through the view, so that a change of the mode has them to look at.
static void touch(void) {
    for (size_t at = 0; at < mapped; at += page_size)
        expect_load(map + at, "through the view");
}

struct change {
    const char *name;
    void (*before)(void), (*change)(void), (*after)(void);
};

static const struct change changes[] = {
    {"nothing", NULL, nothing, NULL},
    {"truncate to 0", NULL, cut, grow},
    {"truncate up", cut, grow, NULL},
    {"fallocate", NULL, allocate, NULL},
    {"SEEK_HOLE", NULL, seek_hole, NULL},
    {"mode", touch, set_mode, NULL},
    {"reserve", NULL, set_reserve, NULL},
    {"pins", pin, list_pins, unpin},
};

int holds_main(int count, char **arguments) {
    if (count != 3)
        usage();
    root = arguments[0];
    large_size = (off_t)parse_number(arguments[1]) << 20;
    double bound = (double)parse_number(arguments[2]) / 1e3;
    catch_faults();
    snprintf(directory, sizeof directory, "%s/tagged/large", root);
    large = make_object(root, "tagged/large");
    beside = make_object(root, "untagged/beside");
    if (ftruncate(beside, page_size) != 0)
        fail_errno("ftruncate");
    resize(large_size);
    mapped = 64 << 20;
    map = map_file(open_view(directory, 0, O_RDWR), 0, mapped, PROT_READ);
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const struct change *change = &changes[i];
        step("a read during %s", change->name);
        double worst[rounds], late[rounds], lasted = 0;
        for (int round = 0; round < rounds; round++) {
            if (change->before != NULL)
                change->before();
            double begin = seconds_now();
            struct waits waits = waits_during(change->change);
            lasted += (seconds_now() - begin) / rounds;
            worst[round] = waits.worst;
            late[round] = waits.late;
            if (change->after != NULL)
                change->after();
        }
        qsort(worst, rounds, sizeof *worst, compare);
        qsort(late, rounds, sizeof *late, compare);
        printf("%s: worst of a round %.2f..%.2f..%.2f ms, late %.2f ms, lasted %.0f ms\n", change->name, worst[0] * 1e3,
               worst[rounds / 2] * 1e3, worst[rounds - 1] * 1e3, late[rounds / 2] * 1e3, lasted * 1e3);
        // What the device does it does every time: the best of the rounds is what others had no part in.
        wrong += worst[0] > bound;
    }
    if (wrong != 0)
        fail("a read waits for more than %.0f ms in each round of %u changes", bound * 1e3, wrong);
    printf("ok holds\n");
    return 0;
}
