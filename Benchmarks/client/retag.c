// A change of the tags of one page, written to phys/tags: with the page mapped nowhere, and with the
// page mapped and dirty. Each timed write changes the tags from 0; the write that brings them back,
// so that the page can be touched through view 0 again, is not timed. And a page of tag storage that is
// stored to as memory and as tags in turn, by one program that has both mapped, as a virtual machine has
// that has all of the device: it changes hands for each store.

#define _GNU_SOURCE
#include "workloads.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG_BYTES (PAGE / 32)

struct tags {
    int fd;
    off_t offset;
};

static struct tags tags_of_page(const struct target *target, size_t offset)
{
    if (!target->tags_path)
        fail("%s is a file: tags need a mount point", target->path);
    int fd = open(target->tags_path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail("%s", target->tags_path);
    return (struct tags){fd, (target->base + (off_t)offset) / 32};
}

static void set_tags(const struct tags *tags, int byte)
{
    unsigned char bytes[TAG_BYTES];
    memset(bytes, byte, sizeof bytes);
    write_fully(tags->fd, bytes, sizeof bytes, tags->offset);
}

static void check_tags(const struct tags *tags, int byte)
{
    unsigned char bytes[TAG_BYTES];
    read_fully(tags->fd, bytes, sizeof bytes, tags->offset);
    for (size_t i = 0; i < sizeof bytes; i++)
        if (bytes[i] != byte)
            fail("tag byte %zu is %#x, not %#x", i, bytes[i], (unsigned)byte);
}

static void sample_retag(struct samples *samples, const struct tags *tags)
{
    uint64_t start = now_ns();
    set_tags(tags, 0x11);
    samples_add(samples, (double)(now_ns() - start));
}

void retag_unmapped(const struct target *target)
{
    struct tags tags = tags_of_page(target, RETAG_UNMAPPED_AREA);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        sample_retag(&samples, &tags);
        if (samples.count == 1)
            check_tags(&tags, 0x11);
        set_tags(&tags, 0);
    }
    samples_report(&samples);
    close(tags.fd);
}

static void check_taken_away(char *page)
{
    unsigned char resident;
    if (mincore(page, PAGE, &resident) != 0)
        fail("mincore");
    if (resident & 1)
        fail("the page is still in the page cache after its tags changed");
}

void retag_dirty(const struct target *target)
{
    int fd = target_open(target);
    struct tags tags = tags_of_page(target, RETAG_MAPPED_AREA);
    target_fill(fd, target, RETAG_MAPPED_AREA, PAGE);
    char *page = target_map(fd, target, RETAG_MAPPED_AREA, PAGE);
    // Without readahead, which would have the kernel ask for the pages around at every touch.
    madvise(page, PAGE, MADV_RANDOM);
    volatile uint64_t *word = (volatile uint64_t *)page;
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        *word = samples.count;
        sample_retag(&samples, &tags);
        check_taken_away(page);
        if (samples.count == 1)
            check_tags(&tags, 0x11);
        set_tags(&tags, 0);
        if (*word != samples.count - 1)
            fail("the store before change of tags %zu is lost", samples.count);
    }
    samples_report(&samples);
    munmap(page, PAGE);
    close(tags.fd);
    close(fd);
}

void retag_hands(const struct target *target)
{
    struct tags tags = tags_of_page(target, RETAG_MAPPED_AREA);
    char path[4096];
    snprintf(path, sizeof path, "%.*smem", (int)(strrchr(target->tags_path, '/') + 1 - target->tags_path),
        target->tags_path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        fail("%s", path);
    // The tag storage is the last of 33 parts of the memory.
    off_t storage = target->base + (status.st_size - target->base) / 33 * 32;
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, storage + RETAG_MAPPED_AREA / 32);
    char *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, tags.fd, tags.offset);
    if (memory == MAP_FAILED || mapped == MAP_FAILED)
        fail("mmap");
    madvise(memory, PAGE, MADV_RANDOM);
    madvise(mapped, PAGE, MADV_RANDOM);
    volatile uint64_t *as_memory = (volatile uint64_t *)memory, *as_tags = (volatile uint64_t *)mapped;
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        as_memory[0] = samples.count;
        as_tags[1] = samples.count;
        samples_add(&samples, (double)(now_ns() - start) / 2);
        if (as_tags[0] != samples.count - 1)
            fail("what was stored as memory is not what the tags are");
    }
    samples_report(&samples);
    munmap(memory, PAGE);
    munmap(mapped, PAGE);
    close(tags.fd);
    close(fd);
}
