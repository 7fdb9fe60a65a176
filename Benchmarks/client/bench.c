// bench WORKLOAD TARGET [BASE]: runs one workload for a fraction of a second and prints the median time
// of its operation in nanoseconds. TARGET is a mount point, which stands for its phys/views/0, or a file
// whose memory starts at offset BASE (0).

#define _GNU_SOURCE
#include "workloads.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIME_LIMIT_SECONDS 30

static const struct {
    const char *name;
    void (*run)(const struct target *);
    const char *summary;
} workloads[] = {
    {"read4k", transfer_4k_read, "pread of a page at random offsets"},
    {"write4k", transfer_4k_write, "pwrite of a page at random offsets"},
    {"read1m-1", transfer_1m_read, "pread of 1 MiB, one thread"},
    {"write1m-1", transfer_1m_write, "pwrite of 1 MiB, one thread"},
    {"read1m-2", transfer_1m_read_two_threads, "the same by two threads, time per MiB of both"},
    {"write1m-2", transfer_1m_write_two_threads, "the same by two threads, time per MiB of both"},
    {"touch-seq", mapping_touch_sequential, "first load of each page of a mapping, in order"},
    {"touch-rand", mapping_touch_random, "first load of each page of a mapping, in random order"},
    {"loads", mapping_loads, "random loads from pages that were loaded from"},
    {"stores", mapping_stores, "random stores to pages that were stored to"},
    {"stores-small", mapping_stores_small, "the same within 4 MiB, too little to be written back"},
    {"retag-unmapped", retag_unmapped, "change of the tags of a page that was never mapped"},
    {"retag-dirty", retag_dirty, "change of the tags of a page that is mapped and dirty"},
    {"hands", retag_hands, "store to a page that is mapped as tags and as memory, in turn"},
    {"copy", objects_copy, "write of 256 MiB in pieces of 128 KiB to an empty file, time per MiB"},
    {"resize", objects_resize, "ftruncate of an empty file to 16 GiB"},
};

#define WORKLOAD_COUNT (sizeof workloads / sizeof workloads[0])

static int usage(void)
{
    fprintf(stderr, "usage: bench WORKLOAD MOUNTPOINT\n"
                    "       bench WORKLOAD FILE [BASE]\n"
                    "       bench stat-open-close FILE\n"
                    "       bench objects DIRECTORY\n"
                    "       bench command COMMAND [ARGUMENT...]\n");
    for (size_t i = 0; i < WORKLOAD_COUNT; i++)
        fprintf(stderr, "  %-16s%s\n", workloads[i].name, workloads[i].summary);
    return 2;
}

static void die_of(int signal)
{
    static const char late[] = "bench: the time limit is over\n";
    static const char refused[] = "bench: a mapped page was refused (SIGBUS)\n";
    const char *message = signal == SIGALRM ? late : refused;
    if (write(STDERR_FILENO, message, strlen(message)) < 0)
        _exit(2);
    _exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage();
    signal(SIGALRM, die_of);
    signal(SIGBUS, die_of);
    alarm(TIME_LIMIT_SECONDS);
    if (strcmp(argv[1], "command") == 0) {
        run_command(argv + 2);
        return 0;
    }
    if (strcmp(argv[1], "stat-open-close") == 0) {
        stat_open_close(argv[2]);
        return 0;
    }
    if (strcmp(argv[1], "objects") == 0) {
        objects_make(argv[2]);
        return 0;
    }
    for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
        if (strcmp(argv[1], workloads[i].name) != 0)
            continue;
        struct target target = target_at(argv[2], argv[3]);
        workloads[i].run(&target);
        return 0;
    }
    return usage();
}
