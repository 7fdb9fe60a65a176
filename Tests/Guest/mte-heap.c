/// A heap whose data and tags are checked all the time: mte-heap SECONDS MIB [SEED [THREADS]]
///
/// The heap is cut into blocks. A thread takes a block at random and checks its data and its tags, then allocates it,
/// with a tag that it did not have, and fills it; or frees it, which gives it a third tag, and its old pointer must
/// fault. What is in a block follows from its address and its generation, so that a block is checked
/// whether it is in use or free.
#include "mte.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { most_threads = 64, faults_of = 4 };

struct block {
    uint32_t granule, granules;
    /// 0 before the first use: the data is then 0.
    uint32_t generation;
    uint8_t tag;
    bool in_use;
    /// Whoever changes it from false may use the block.
    atomic_bool taken;
};

static char *heap;
static struct block *blocks;
static size_t block_count;
static atomic_bool stopped;
static atomic_ullong checks;

static _Thread_local sigjmp_buf before_load;
static _Thread_local volatile bool expects_fault;
static _Thread_local volatile uintptr_t fault_address;

static _Noreturn void fail(const char *what, const struct block *block, size_t offset) {
    printf("bad: %s, block %zu at %p, offset %zu, generation %u, tag %x\n", what, (size_t)(block - blocks),
           (void *)(heap + (size_t)block->granule * granule_size), offset, block->generation, block->tag);
    fflush(stdout);
    _exit(1);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (!expects_fault || info->si_code != SEGV_MTESERR) {
        char line[100];
        int length = snprintf(line, sizeof line, "bad: SIGSEGV, code %d, at %p\n", info->si_code, info->si_addr);
        if (write(STDOUT_FILENO, line, (size_t)length) < 0)
            _exit(2);
        _exit(1);
    }
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(before_load, 1);
}

static uint64_t *pointer(const struct block *block, unsigned tag) {
    return with_tag(heap + (size_t)block->granule * granule_size, tag);
}

static size_t words(const struct block *block) {
    return (size_t)block->granules * granule_size / sizeof(uint64_t);
}

static uint64_t pattern(const struct block *block, size_t word) {
    if (block->generation == 0)
        return 0;
    uint64_t x = ((uint64_t)block->granule * 2 + word) * 0x9e3779b97f4a7c15 + block->generation;
    return (x ^ x >> 29) * 0xbf58476d1ce4e5b9;
}

static void check(const struct block *block) {
    const uint64_t *data = pointer(block, block->tag);
    for (size_t i = 0; i < block->granules; i++) {
        if (memory_tag(data + 2 * i) != block->tag)
            fail("another tag", block, i * granule_size);
    }
    for (size_t i = 0; i < words(block); i++) {
        if (data[i] != pattern(block, i))
            fail("other data", block, i * sizeof *data);
    }
    atomic_fetch_add_explicit(&checks, 1, memory_order_relaxed);
}

/// IRG gives it, of those that are neither 0 nor the block's.
static void retag(struct block *block) {
    block->tag = (uint8_t)pointer_tag(insert_random_tag(pointer(block, 0), 1U << block->tag));
    set_tags(pointer(block, 0), (size_t)block->granules * granule_size, block->tag);
}

static void allocate(struct block *block) {
    retag(block);
    block->generation++;
    block->in_use = true;
    uint64_t *data = pointer(block, block->tag);
    for (size_t i = 0; i < words(block); i++)
        data[i] = pattern(block, i);
}

/// A load through the pointer faults, at its address.
static void expect_fault(const struct block *block, unsigned tag, size_t word) {
    const volatile uint64_t *address = pointer(block, tag) + word;
    fault_address = 0;
    expects_fault = true;
    if (sigsetjmp(before_load, 0) == 0) {
        (void)*address;
        expects_fault = false;
        fail("no fault", block, word * sizeof *address);
    }
    expects_fault = false;
    if (fault_address != (uintptr_t)address)
        fail("a fault elsewhere", block, word * sizeof *address);
}

static void *work(void *argument) {
    uint64_t random = *(uint64_t *)argument;
    if (set_mode(PR_MTE_TCF_SYNC, 0xfffe) != 0)
        abort();
    while (!stopped) {
        uint64_t choice = next_random(&random) >> 8;
        struct block *block = &blocks[choice % block_count];
        if (atomic_exchange(&block->taken, true))
            continue;
        check(block);
        unsigned old = block->tag;
        if (!block->in_use)
            allocate(block);
        else if (choice >> 40 & 1) {
            retag(block);
            block->in_use = false;
            if ((choice >> 41) % faults_of == 0)
                expect_fault(block, old, (choice >> 32 & 0xff) % words(block));
        }
        atomic_store(&block->taken, false);
    }
    return NULL;
}

/// Blocks of 16 bytes to 64 KiB that fill the heap.
static void cut(size_t size, uint64_t random) {
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 16, 33, 64, 100, 256, 300, 1024, 4096};
    uint32_t end = (uint32_t)(size / granule_size);
    blocks = calloc(end / 64, sizeof *blocks);
    if (blocks == NULL)
        abort();
    for (uint32_t at = 0; at < end; block_count++) {
        uint32_t granules = sizes[(next_random(&random) >> 20) % (sizeof sizes / sizeof *sizes)];
        if (granules > end - at || block_count == end / 64 - 1)
            granules = end - at;
        blocks[block_count] = (struct block){.granule = at, .granules = granules};
        at += granules;
    }
}

static unsigned long number(const char *text, unsigned long least, unsigned long most) {
    char *end;
    unsigned long value = strtoul(text, &end, 0);
    if (*text == 0 || *end != 0 || value < least || value > most) {
        fprintf(stderr, "mte-heap: %s is not a number from %lu to %lu\n", text, least, most);
        exit(2);
    }
    return value;
}

int main(int count, char **arguments) {
    if (count < 3 || count > 5) {
        fprintf(stderr, "usage: mte-heap SECONDS MIB [SEED [THREADS]]\n");
        return 2;
    }
    unsigned long seconds = number(arguments[1], 1, 1000000), size = number(arguments[2], 1, 65536) << 20;
    unsigned long seed = count > 3 ? number(arguments[3], 1, UINT32_MAX) : 1;
    unsigned long threads = count > 4 ? number(arguments[4], 1, most_threads) : 4;
    heap = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (heap == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    cut(size, seed * 0x9e3779b97f4a7c15);
    // The handler leaves by siglongjmp, with no mask to restore.
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_EXPOSE_TAGBITS};
    sigaction(SIGSEGV, &action, NULL);
    if (set_mode(PR_MTE_TCF_SYNC, 0xfffe) != 0) {
        perror("PR_SET_TAGGED_ADDR_CTRL");
        return 1;
    }
    pthread_t started[most_threads];
    uint64_t seeds[most_threads];
    for (unsigned long i = 0; i < threads; i++) {
        seeds[i] = (seed + i + 1) * 0xd1342543de82ef95;
        if (pthread_create(&started[i], NULL, work, &seeds[i]) != 0)
            abort();
    }
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    stopped = true;
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    for (size_t i = 0; i < block_count; i++)
        check(&blocks[i]);
    printf("%llu checks, none bad\n", checks);
    return 0;
}
