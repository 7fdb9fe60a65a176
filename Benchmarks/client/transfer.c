// read(2) and write(2): the latency of one page, and the throughput of 1 MiB from one and two threads.

#define _GNU_SOURCE
#include "workloads.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LATENCY_SIZE (8 * MIB)
#define THREAD_SIZE (8 * MIB)
#define MAX_THREADS 2

// pread or pwrite, with the checks.
typedef void transfer(int fd, void *buffer, off_t offset);

static void read_page(int fd, void *buffer, off_t offset)
{
    read_fully(fd, buffer, PAGE, offset);
}

static void write_page(int fd, void *buffer, off_t offset)
{
    write_fully(fd, buffer, PAGE, offset);
}

static void read_mib(int fd, void *buffer, off_t offset)
{
    read_fully(fd, buffer, MIB, offset);
}

static void write_mib(int fd, void *buffer, off_t offset)
{
    write_fully(fd, buffer, MIB, offset);
}

static void *page_aligned(size_t size)
{
    void *buffer = aligned_alloc(PAGE, size);
    if (!buffer)
        fail("buffer");
    memset(buffer, 0x5a, size);
    return buffer;
}

static void measure_latency(const struct target *target, transfer *operation)
{
    int fd = target_open(target);
    void *buffer = page_aligned(PAGE);
    struct random random = {1};
    target_fill(fd, target, TRANSFER_AREA, LATENCY_SIZE);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        off_t offset = target->base + (off_t)(TRANSFER_AREA + random_next(&random) % (LATENCY_SIZE / PAGE) * PAGE);
        uint64_t start = now_ns();
        operation(fd, buffer, offset);
        samples_add(&samples, (double)(now_ns() - start));
    }
    samples_report(&samples);
    free(buffer);
    close(fd);
}

void transfer_4k_read(const struct target *target)
{
    measure_latency(target, read_page);
}

void transfer_4k_write(const struct target *target)
{
    measure_latency(target, write_page);
}

// One of the threads that move their own area at the same time, each through its own descriptor.
struct mover {
    pthread_t thread;
    int fd;
    void *buffer;
    off_t start;
    struct team *team;
};

struct team {
    transfer *operation;
    pthread_barrier_t barrier;
    int stop;
};

static void move_area(const struct mover *mover)
{
    for (size_t done = 0; done < THREAD_SIZE; done += MIB)
        mover->team->operation(mover->fd, mover->buffer, mover->start + (off_t)done);
}

// Follows the first mover, which measures: a barrier before and after each pass over the areas.
static void *follow(void *argument)
{
    struct mover *mover = argument;
    for (;;) {
        pthread_barrier_wait(&mover->team->barrier);
        if (mover->team->stop)
            return NULL;
        move_area(mover);
        pthread_barrier_wait(&mover->team->barrier);
    }
}

static void lead(struct mover *mover, unsigned count)
{
    struct team *team = mover->team;
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        pthread_barrier_wait(&team->barrier);
        uint64_t start = now_ns();
        move_area(mover);
        pthread_barrier_wait(&team->barrier);
        samples_add(&samples, (double)(now_ns() - start) / (double)(count * (THREAD_SIZE / MIB)));
    }
    team->stop = 1;
    pthread_barrier_wait(&team->barrier);
    samples_report(&samples);
}

static void measure_throughput(const struct target *target, transfer *operation, unsigned count)
{
    struct mover movers[MAX_THREADS];
    struct team team = {.operation = operation};
    pthread_barrier_init(&team.barrier, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        size_t area = TRANSFER_AREA + i * THREAD_SIZE;
        movers[i] = (struct mover){.fd = target_open(target), .buffer = page_aligned(MIB), .team = &team};
        movers[i].start = target->base + (off_t)area;
        target_fill(movers[i].fd, target, area, THREAD_SIZE);
    }
    for (unsigned i = 1; i < count; i++)
        if (pthread_create(&movers[i].thread, NULL, follow, &movers[i]) != 0)
            fail("thread");
    lead(&movers[0], count);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            pthread_join(movers[i].thread, NULL);
        free(movers[i].buffer);
        close(movers[i].fd);
    }
    pthread_barrier_destroy(&team.barrier);
}

void transfer_1m_read(const struct target *target)
{
    measure_throughput(target, read_mib, 1);
}

void transfer_1m_write(const struct target *target)
{
    measure_throughput(target, write_mib, 1);
}

void transfer_1m_read_two_threads(const struct target *target)
{
    measure_throughput(target, read_mib, 2);
}

void transfer_1m_write_two_threads(const struct target *target)
{
    measure_throughput(target, write_mib, 2);
}
