#define _GNU_SOURCE
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUDGET_NS 300000000ull
#define MIN_SAMPLES 3

void fail(const char *format, ...)
{
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t random_next(struct random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1dull;
}

struct samples samples_start(void)
{
    return (struct samples){.deadline = now_ns() + BUDGET_NS};
}

void samples_add(struct samples *samples, double ns_per_operation)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 1024;
        samples->ns = realloc(samples->ns, samples->capacity * sizeof *samples->ns);
        if (!samples->ns)
            fail("samples");
    }
    samples->ns[samples->count++] = ns_per_operation;
}

int samples_wanted(const struct samples *samples)
{
    return samples->count < MIN_SAMPLES || now_ns() < samples->deadline;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void samples_report(struct samples *samples)
{
    size_t middle = samples->count / 2;
    qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
    double median = samples->count % 2 ? samples->ns[middle] : (samples->ns[middle - 1] + samples->ns[middle]) / 2;
    printf("%.2f\n", median);
    free(samples->ns);
    *samples = (struct samples){0};
}

static const char *path_in(const char *directory, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
        fail("path of %s", name);
    return path;
}

struct target target_at(const char *path, const char *base)
{
    struct stat st;
    if (stat(path, &st) != 0)
        fail("%s", path);
    if (S_ISDIR(st.st_mode))
        return (struct target){path_in(path, "phys/views/0"), path_in(path, "phys/tags"), 0x40000000};
    return (struct target){path, NULL, base ? (off_t)strtoull(base, NULL, 0) : 0};
}

int target_open(const struct target *target)
{
    int fd = open(target->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail("%s", target->path);
    return fd;
}

void target_fill(int fd, const struct target *target, size_t offset, size_t size)
{
    char *buffer = malloc(MIB);
    if (!buffer)
        fail("buffer");
    memset(buffer, 0xa5, MIB);
    for (size_t done = 0; done < size; done += MIB)
        write_fully(fd, buffer, size - done < MIB ? size - done : MIB, target->base + (off_t)(offset + done));
    free(buffer);
}

char *target_map(int fd, const struct target *target, size_t offset, size_t size)
{
    char *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, target->base + (off_t)offset);
    if (address == MAP_FAILED)
        fail("mmap of %s", target->path);
    return address;
}

void read_fully(int fd, void *buffer, size_t size, off_t offset)
{
    errno = 0;
    ssize_t done = pread(fd, buffer, size, offset);
    if (done != (ssize_t)size)
        fail("read of %zu bytes at %#llx gave %zd", size, (unsigned long long)offset, done);
}

void write_fully(int fd, const void *buffer, size_t size, off_t offset)
{
    errno = 0;
    ssize_t done = pwrite(fd, buffer, size, offset);
    if (done != (ssize_t)size)
        fail("write of %zu bytes at %#llx gave %zd", size, (unsigned long long)offset, done);
}
