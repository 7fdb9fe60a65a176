// tagged WORKLOAD: a program for Arm's MTE, checked synchronously. Runs one workload for a fraction of a second and prints
// the median time of its operation in nanoseconds.
//
// The same source for libtagmem, for AArch64, and with -DPLAIN for memory without tags.

#include "../../Examples/mte-heap/heap.h"
#include "../client/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef PLAIN
#define PROT_MTE 0
#define set_tags(memory, size) (memory)
#else
#include <arm_acle.h>
#include <sys/prctl.h>

// As a program of Linux's selftests does it.
static void *set_tags(char *memory, size_t size)
{
    unsigned long control = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeul << PR_MTE_TAG_SHIFT;
    if (prctl(PR_SET_TAGGED_ADDR_CTRL, control, 0, 0, 0) != 0)
        fail("prctl");
    memory = __arm_mte_create_random_tag(memory, 0);
    for (size_t at = 0; at < size; at += 16)
        __arm_mte_set_tag(memory + at);
    return memory;
}
#endif

// Fits a processor's second cache, with its tags.
#define SIZE (256 * KIB)
#define WORDS (SIZE / sizeof(uint64_t))
#define GRANULES (SIZE / 16)

static char *tagged_memory(void)
{
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    memory = set_tags(memory, SIZE);
    memset(memory, 1, SIZE);
    return memory;
}

// One access an iteration, none of which the compiler leaves out or puts together.

static uint64_t sum;

static void load_in_order(volatile uint64_t *memory)
{
    for (size_t i = 0; i < WORDS; i++)
        sum += memory[i];
}

static void store_in_order(volatile uint64_t *memory)
{
    for (size_t i = 0; i < WORDS; i++)
        memory[i] = i;
}

#define NEXT(x) ((x) * 6364136223846793005u + 1442695040888963407u)

static void load_at_random(volatile uint64_t *memory)
{
    uint64_t x = 1;
    for (size_t i = 0; i < WORDS; i++) {
        x = NEXT(x);
        sum += memory[(x >> 40) % WORDS];
    }
}

static void store_at_random(volatile uint64_t *memory)
{
    uint64_t x = 1;
    for (size_t i = 0; i < WORDS; i++) {
        x = NEXT(x);
        memory[(x >> 40) % WORDS] = i;
    }
}

static void accesses(void (*pass)(volatile uint64_t *))
{
    volatile uint64_t *memory = (volatile uint64_t *)tagged_memory();
    pass(memory);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        pass(memory);
        samples_add(&samples, (double)(now_ns() - start) / WORDS);
    }
    samples_report(&samples);
}

static void loads(void) { accesses(load_in_order); }
static void stores(void) { accesses(store_in_order); }
static void loads_random(void) { accesses(load_at_random); }
static void stores_random(void) { accesses(store_at_random); }

#ifndef PLAIN
// Another tag in each pass.
static void stg(void)
{
    char *memory = tagged_memory();
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        memory = __arm_mte_increment_tag(memory, 1);
        uint64_t start = now_ns();
        for (size_t at = 0; at < SIZE; at += 16)
            __arm_mte_set_tag(memory + at);
        samples_add(&samples, (double)(now_ns() - start) / GRANULES);
    }
    samples_report(&samples);
}

static void irg(void)
{
    char *memory = tagged_memory();
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (size_t i = 0; i < GRANULES; i++)
            memory = __arm_mte_create_random_tag(memory, 0);
        samples_add(&samples, (double)(now_ns() - start) / GRANULES);
    }
    sum += (uintptr_t)memory;
    samples_report(&samples);
}

// Blocks of 16 to 512 bytes: at random one is freed and another allocated in its place.
static void allocate(void)
{
    enum { blocks = 1024, pairs = 4096 };
    static void *block[blocks];
    struct random random = {1};
    for (size_t i = 0; i < blocks; i++)
        block[i] = heap_malloc(16 + random_next(&random) % 497);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (size_t i = 0; i < pairs; i++) {
            uint64_t x = random_next(&random);
            void **place = &block[x % blocks];
            heap_free(*place);
            if (!(*place = heap_malloc(16 + (x >> 32) % 497)))
                fail("heap_malloc");
        }
        samples_add(&samples, (double)(now_ns() - start) / pairs);
    }
    samples_report(&samples);
}
#endif

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"loads", loads},
    {"stores", stores},
    {"loads-random", loads_random},
    {"stores-random", stores_random},
#ifndef PLAIN
    {"stg", stg},
    {"irg", irg},
    {"malloc", allocate},
#endif
};

int main(int argc, char **argv)
{
    alarm(30);
    for (size_t i = 0; argc == 2 && i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(argv[1], workloads[i].name) == 0) {
            workloads[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: tagged WORKLOAD\n");
    return 2;
}
