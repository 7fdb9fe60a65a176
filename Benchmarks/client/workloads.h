// The workloads: each prints the median time of its operation in nanoseconds.

#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "support.h"

// transfer.c: read(2) and write(2)
void transfer_4k_read(const struct target *target);
void transfer_4k_write(const struct target *target);
void transfer_1m_read(const struct target *target);
void transfer_1m_write(const struct target *target);
void transfer_1m_read_two_threads(const struct target *target);
void transfer_1m_write_two_threads(const struct target *target);

// mapping.c: loads and stores
void mapping_touch_sequential(const struct target *target);
void mapping_touch_random(const struct target *target);
void mapping_loads(const struct target *target);
void mapping_stores(const struct target *target);
void mapping_stores_small(const struct target *target);

// retag.c: changes of tags
void retag_unmapped(const struct target *target);
void retag_dirty(const struct target *target);
void retag_hands(const struct target *target);

// objects.c: memory objects, or files
void objects_copy(const struct target *target);
void objects_resize(const struct target *target);
void objects_make(const char *directory);

// command.c: system calls on a path, and whole commands
void stat_open_close(const char *path);
void run_command(char *const *arguments);

#endif
