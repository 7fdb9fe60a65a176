// Memory objects, or files on another file system: filled, sized, made and removed.

#define _GNU_SOURCE
#include "workloads.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_SIZE (256 * MIB)
#define COPY_PIECE (128 * KIB) // what cp(1) reads and writes at once
#define RESIZE_SIZE (16 * KIB * MIB)
#define OBJECTS 10000

static int open_empty(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("%s", path);
    return fd;
}

void objects_copy(const struct target *target)
{
    char *piece = malloc(COPY_PIECE);
    if (!piece)
        fail("buffer");
    memset(piece, 0x5a, COPY_PIECE);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        int fd = open_empty(target->path);
        uint64_t start = now_ns();
        for (size_t done = 0; done < COPY_SIZE; done += COPY_PIECE)
            write_fully(fd, piece, COPY_PIECE, target->base + (off_t)done);
        samples_add(&samples, (double)(now_ns() - start) / (double)(COPY_SIZE / MIB));
        if (close(fd) != 0)
            fail("close of %s", target->path);
    }
    samples_report(&samples);
    free(piece);
}

void objects_resize(const struct target *target)
{
    int fd = open_empty(target->path);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        if (ftruncate(fd, (off_t)RESIZE_SIZE) != 0)
            fail("ftruncate of %s", target->path);
        samples_add(&samples, (double)(now_ns() - start));
        if (ftruncate(fd, 0) != 0)
            fail("ftruncate of %s", target->path);
    }
    close(fd);
    samples_report(&samples);
}

void objects_make(const char *directory)
{
    char path[4096];
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (int i = 0; i < OBJECTS; i++) {
            snprintf(path, sizeof path, "%s/bench-%d", directory, i);
            if (mkdir(path, 0700) != 0)
                fail("mkdir of %s", path);
        }
        for (int i = 0; i < OBJECTS; i++) {
            snprintf(path, sizeof path, "%s/bench-%d", directory, i);
            if (rmdir(path) != 0)
                fail("rmdir of %s", path);
        }
        samples_add(&samples, (double)(now_ns() - start) / OBJECTS);
    }
    samples_report(&samples);
}
