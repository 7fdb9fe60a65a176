// What the workloads share: errors, the clock, samples, and the memory that they work on.

#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE ((size_t)4096)
#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

// Prints a message, with errno's text if there is one, and ends the program with status 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);

// A small generator (xorshift64*): the same sequence in every run, and cheap beside a memory access.
struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);

// Nanoseconds per operation, one a sample.
struct samples {
    double *ns;
    size_t count, capacity;
    uint64_t deadline;
};
struct samples samples_start(void);
void samples_add(struct samples *samples, double ns_per_operation);

// Whether there is time for another sample. There are always a few.
int samples_wanted(const struct samples *samples);

// Prints the median and frees the samples.
void samples_report(struct samples *samples);

// Memory in a file: what is at `base` + n in the file is byte n of it.
struct target {
    const char *path;
    const char *tags_path; // NULL if the target is a file
    off_t base;
};

// `path` is a mount point, which stands for its phys/views/0, or a file with `base` as its start.
struct target target_at(const char *path, const char *base);
int target_open(const struct target *target);

// Writes `size` bytes at `offset` of the memory, so that no run meets memory that was never used.
void target_fill(int fd, const struct target *target, size_t offset, size_t size);

char *target_map(int fd, const struct target *target, size_t offset, size_t size);

void read_fully(int fd, void *buffer, size_t size, off_t offset);
void write_fully(int fd, const void *buffer, size_t size, off_t offset);

// Where in the memory each kind of workload works, apart from each other: what one has mapped must
// not be what another counts on never having been mapped.
#define TRANSFER_AREA (0 * MIB)
#define MAPPING_AREA (64 * MIB)
#define RETAG_MAPPED_AREA (256 * MIB)
#define RETAG_UNMAPPED_AREA (512 * MIB)
#define MAPPING_SIZE (64 * MIB)

#endif
