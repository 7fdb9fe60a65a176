// mte-touch MIB PASSES: what memory with tags costs a program of a guest. Prints nanoseconds.
//
//     touch N    the first store to a page, of MIB MiB that the guest may never have used before
//     pass N     all MIB MiB retagged, stored to and loaded from, the median of PASSES
#include <arm_acle.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

enum { page_size = 4096, granule_size = 16 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static uint64_t pass(char *memory, size_t size) {
    uint64_t sum = 0;
    for (size_t page = 0; page < size; page += page_size) {
        char *tagged = __arm_mte_create_random_tag(memory + page, 0);
        for (size_t i = 0; i < page_size; i += granule_size) __arm_mte_set_tag(tagged + i);
        uint64_t *words = (uint64_t *)tagged;
        for (size_t i = 0; i < page_size / sizeof *words; i++) words[i] = page + i;
        for (size_t i = 0; i < page_size / sizeof *words; i++) sum += words[i];
    }
    return sum;
}

int main(int count, char **arguments) {
    size_t size = count == 3 ? strtoul(arguments[1], NULL, 10) << 20 : 0;
    int passes = count == 3 ? atoi(arguments[2]) : 0;
    if (size == 0 || passes < 1 || passes > 1000) {
        fputs("usage: mte-touch MIB PASSES\n", stderr);
        return 2;
    }
    unsigned long tags = 0xfffe;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED
        || prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | tags << PR_MTE_TAG_SHIFT, 0, 0, 0)) {
        perror("mte-touch");
        return 1;
    }
    double start = now();
    for (size_t page = 0; page < size; page += page_size) *(volatile char *)(memory + page) = 1;
    printf("touch %.0f\n", (now() - start) / (double)(size / page_size));

    double *times = calloc((size_t)passes, sizeof *times);
    volatile uint64_t sum = 0;
    for (int i = 0; i < passes; i++) {
        start = now();
        sum += pass(memory, size);
        times[i] = now() - start;
    }
    qsort(times, (size_t)passes, sizeof *times, compare);
    printf("pass %.0f\n", times[passes / 2]);
    free(times);
    return 0;
}
