// Loads and stores in a mapping: the first touch of each page, and accesses to pages that are there.

#define _GNU_SOURCE
#include "workloads.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES (MAPPING_SIZE / PAGE)
#define BATCH 65536u

// Little enough to be dirty without being written back. A FUSE mount may have one percent of the
// machine's dirty pages (its bdi has strict_limit set); beyond that the kernel writes pages back all
// the time, and the next store to each of them faults.
#define SMALL_SIZE (4 * MIB)

// Keeps loads whose results nobody uses.
static volatile uint64_t sink;

// A page that is in the page cache already would cost no request, and the run would measure nothing.
static void check_none_resident(const struct target *target, char *address)
{
    static unsigned char resident[PAGES];
    if (mincore(address, MAPPING_SIZE, resident) != 0)
        fail("mincore");
    for (size_t page = 0; page < PAGES; page++)
        if (resident[page] & 1)
            fail("%s: page %zu of a fresh mapping is in the page cache", target->path, page);
}

static void shuffled(uint32_t *order)
{
    struct random random = {1};
    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t j = (uint32_t)(random_next(&random) % (i + 1));
        order[i] = order[j];
        order[j] = i;
    }
}

// Maps anew for every pass: mmap of a direct_io file drops what the page cache has of it
// (invalidate_inode_pages2 in Linux' fuse_file_mmap), and the check makes sure that it did.
static char *map_afresh(int fd, const struct target *target, int advice)
{
    char *address = target_map(fd, target, MAPPING_AREA, MAPPING_SIZE);
    if (madvise(address, MAPPING_SIZE, advice) != 0)
        fail("madvise");
    check_none_resident(target, address);
    return address;
}

static int open_filled(const struct target *target)
{
    int fd = target_open(target);
    target_fill(fd, target, MAPPING_AREA, MAPPING_SIZE);
    return fd;
}

static void load_each_page(char *address)
{
    for (size_t page = 0; page < PAGES; page++)
        sink = *(volatile uint64_t *)(address + page * PAGE);
}

// Readahead makes a few touches dear and the others cheap, so a sample is the mean of a whole pass.
void mapping_touch_sequential(const struct target *target)
{
    int fd = open_filled(target);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        char *address = map_afresh(fd, target, MADV_NORMAL);
        uint64_t start = now_ns();
        load_each_page(address);
        samples_add(&samples, (double)(now_ns() - start) / PAGES);
        munmap(address, MAPPING_SIZE);
    }
    samples_report(&samples);
    close(fd);
}

// Without readahead every touch is a request, and a sample.
static void touch_in_order(struct samples *samples, char *address, const uint32_t *order)
{
    for (size_t i = 0; i < PAGES && samples_wanted(samples); i++) {
        uint64_t start = now_ns();
        sink = *(volatile uint64_t *)(address + order[i] * PAGE);
        samples_add(samples, (double)(now_ns() - start));
    }
}

void mapping_touch_random(const struct target *target)
{
    static uint32_t order[PAGES];
    shuffled(order);
    int fd = open_filled(target);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        char *address = map_afresh(fd, target, MADV_RANDOM);
        touch_in_order(&samples, address, order);
        munmap(address, MAPPING_SIZE);
    }
    samples_report(&samples);
    close(fd);
}

// The memory that accesses to touched pages go to. The size is a power of two.
struct mapping {
    char *address;
    size_t size;
    struct random random;
};

static void load_batch(struct mapping *mapping)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < BATCH; i++)
        sum += *(volatile uint64_t *)(mapping->address + (random_next(&mapping->random) & (mapping->size - 8)));
    sink = sum;
}

static void store_batch(struct mapping *mapping)
{
    for (unsigned i = 0; i < BATCH; i++)
        *(volatile uint64_t *)(mapping->address + (random_next(&mapping->random) & (mapping->size - 8))) = i;
}

static void warm_up(struct mapping *mapping, int store)
{
    for (size_t offset = 0; offset < mapping->size; offset += PAGE) {
        volatile uint64_t *word = (volatile uint64_t *)(mapping->address + offset);
        if (store)
            *word = offset;
        else
            sink = *word;
    }
}

static void measure_accesses(const struct target *target, size_t size, int store)
{
    int fd = open_filled(target);
    struct mapping mapping = {target_map(fd, target, MAPPING_AREA, size), size, {1}};
    warm_up(&mapping, store);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        if (store)
            store_batch(&mapping);
        else
            load_batch(&mapping);
        samples_add(&samples, (double)(now_ns() - start) / BATCH);
    }
    samples_report(&samples);
    munmap(mapping.address, size);
    close(fd);
}

void mapping_loads(const struct target *target)
{
    measure_accesses(target, MAPPING_SIZE, 0);
}

void mapping_stores(const struct target *target)
{
    measure_accesses(target, MAPPING_SIZE, 1);
}

void mapping_stores_small(const struct target *target)
{
    measure_accesses(target, SMALL_SIZE, 1);
}
