/// `tagstores` and `always`: stores of tags through mappings, and loads of what always existed, while an object grows.
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/// The object of both, its directory, and its size when a growth last returned.
static int mem;
static char path[4096];
static atomic_llong size;
static atomic_bool over;

static void begin(const char *mountpoint, const char *name) {
    catch_faults();
    mem = make_object(mountpoint, name);
    snprintf(path, sizeof path, "%s/%s", mountpoint, name);
}

static void resize(off_t new_size) {
    if (ftruncate(mem, new_size) != 0)
        fail_errno("ftruncate");
    size = new_size;
}

// MARK: Stores of tags

enum { first_size = 4 * page_size, last_size = 512 * page_size, growth_step = 7 * granule_size };

/// A file of tags, mapped as a whole, and the bytes of memory that a byte of it is about.
struct tag_file {
    const char *name;
    off_t bytes;
    uint8_t values[2];
    unsigned long stores, failed, lost;
};

static struct tag_file tag_files[] = {
    {.name = "tags.hex", .bytes = granule_size, .values = {'5', 'a'}},
    {.name = "tags", .bytes = 2 * granule_size, .values = {0x55, 0xaa}},
};

/// Stores near the end, each store one that must be there after msync. Granules are taken in fours: two of them are
/// stored to through the one file, two through the other.
static void *store_tags(void *argument) {
    struct tag_file *file = argument;
    bool digits = file->bytes == granule_size;
    int fd = open_file(path, file->name, O_RDWR);
    uint8_t *map = map_file(fd, 0, (size_t)(last_size / file->bytes), PROT_READ | PROT_WRITE);
    struct random random = {file->bytes};
    for (; !over; file->stores++) {
        off_t group = size / (4 * granule_size) - 1 - (off_t)random_below(&random, 16);
        off_t at = digits ? group * 4 : group * 2 + 1;
        uint8_t value = file->values[file->stores / 16 % 2], found = 0;
        expect_store(map + at, value, file->name);
        if (msync(map + at / page_size * page_size, page_size, MS_SYNC) != 0)
            file->failed++;
        read_exactly(fd, &found, 1, at, file->name);
        file->lost += found != value;
    }
    return NULL;
}

int tagstores_main(int count, char **arguments) {
    if (count != 2)
        usage();
    double end = seconds_now() + (double)parse_number(arguments[1]);
    begin(arguments[0], "tagged/stores");
    resize(first_size);
    step("stores of tags while the object grows");
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, store_tags, &tag_files[i]) != 0)
            fail("no thread");
    // Upwards alone: what is cut off is no loss.
    for (off_t next = first_size; seconds_now() < end && next + growth_step <= last_size; next += growth_step)
        resize(next + growth_step);
    over = true;
    unsigned long wrong = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        printf("%s stores=%lu msync-failed=%lu lost=%lu\n", tag_files[i].name, tag_files[i].stores, tag_files[i].failed,
               tag_files[i].lost);
        wrong += tag_files[i].failed + tag_files[i].lost + (tag_files[i].stores == 0);
    }
    if (wrong != 0)
        fail("stores are lost");
    printf("ok tagstores\n");
    return 0;
}

// MARK: Bytes that always exist

enum { always_views = 12, always_end = (always_views - 1) * page_size + 64, always_threads = 4 };

static uint8_t *views[always_views];
static atomic_ulong refused, loads;

/// View 0 has the last page, where the end is; each other view the page before that has its tag.
static void *load_always(void *argument) {
    struct random random = {(uintptr_t)argument};
    while (!over) {
        unsigned tag = random_below(&random, always_views);
        uint8_t value;
        struct fault fault;
        size_t page = tag == 0 ? always_views - 1 : tag - 1;
        if (!guarded_load(&value, views[tag] + page * page_size, 1, NULL, &fault))
            refused++;
        loads++;
    }
    return NULL;
}

int always_main(int count, char **arguments) {
    if (count != 2)
        usage();
    double end = seconds_now() + (double)parse_number(arguments[1]);
    begin(arguments[0], "tagged/always");
    resize(always_end);
    int tags = open_file(path, "tags", O_RDWR);
    for (unsigned tag = 1; tag < always_views; tag++)
        set_page_tags(tags, (tag - 1) * page_size, 1, tag);
    for (unsigned tag = 0; tag < always_views; tag++)
        views[tag] = map_file(open_view(path, tag, O_RDONLY), 0, always_views * page_size, PROT_READ);
    step("loads of bytes that always exist");
    pthread_t threads[always_threads];
    for (uintptr_t i = 0; i < always_threads; i++)
        if (pthread_create(&threads[i], NULL, load_always, (void *)(i + 1)) != 0)
            fail("no thread");
    unsigned growths = 0;
    while (seconds_now() < end)
        for (off_t more = 0; more < 3 * page_size; more += 509, growths++)
            resize(always_end + more);
    over = true;
    for (int i = 0; i < always_threads; i++)
        pthread_join(threads[i], NULL);
    printf("always growths=%u loads=%lu refused=%lu\n", growths, loads, refused);
    if (refused != 0)
        fail("%lu loads of bytes that always existed raised SIGBUS", refused);
    printf("ok always\n");
    return 0;
}
