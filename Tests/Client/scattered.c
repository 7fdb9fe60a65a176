/// `scattered`: large reads of an object whose pages are nowhere next to each other.
#include "client.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/// The most that one read asks the device for: a request of the largest size, of pieces of one page's each.
enum { request_size = 1 << 20 };

/// What a file has for a page, and what it is to have for the page `page`.
struct file {
    const char *name;
    size_t page_bytes;
    uint8_t (*byte)(size_t page);
};

static uint8_t tag_byte(size_t page) {
    return (uint8_t)(page % tag_count * 0x11);
}

static uint8_t tag_digit(size_t page) {
    return (uint8_t)"0123456789abcdef"[page % tag_count];
}

static uint8_t data_byte(size_t page) {
    return (uint8_t)(page % 251 + 1);
}

static const struct file files[] = {
    {"tags", tag_bytes_per_page, tag_byte},
    {"tags.hex", granules_per_page, tag_digit},
    {"mem", page_size, data_byte},
};

static void expect_pages(const struct file *file, const uint8_t *found, size_t length, const char *how) {
    for (size_t i = 0; i < length; i++)
        if (found[i] != file->byte(i / file->page_bytes))
            fail("%s of %s: byte %zu is %#x, not %#x", how, file->name, i, found[i], file->byte(i / file->page_bytes));
}

static void check_file(const char *directory, const struct file *file, size_t pages) {
    size_t size = pages * file->page_bytes, length = size < request_size ? size : request_size;
    int fd = open_file(directory, file->name, O_RDWR);
    uint8_t *buffer = malloc(length);
    if (buffer == NULL)
        fail("no memory");
    static const size_t lengths[] = {128 << 10, request_size};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t now = lengths[i] < length ? lengths[i] : length;
        step("a read of %zu bytes of %s", now, file->name);
        read_exactly(fd, buffer, now, 0, "scattered");
        expect_pages(file, buffer, now, "a read");
    }
    free(buffer);
    step("a mapping of %zu bytes of %s, read ahead as far as it goes", length, file->name);
    length = length / page_size * page_size;
    uint8_t *map = map_file(fd, 0, length, PROT_READ);
    // Huge pages may be off in this kernel: then readahead is smaller.
    madvise(map, length, MADV_HUGEPAGE);
    if (madvise(map, length, MADV_POPULATE_READ) != 0)
        fail_errno("MADV_POPULATE_READ");
    expect_pages(file, map, length, "a mapping");
    munmap(map, length);
    close(fd);
}

int scattered_main(int count, char **arguments) {
    if (count != 2)
        usage();
    size_t pages = parse_number(arguments[1]);
    static const char *const names[] = {"tagged/scattered", "tagged/between"};
    int fds[2];
    for (int i = 0; i < 2; i++)
        fds[i] = make_object(arguments[0], names[i]);
    for (size_t page = 0; page < pages; page++)
        for (int i = 0; i < 2; i++)
            if (ftruncate(fds[i], (off_t)(page + 1) * page_size) != 0)
                fail_errno("ftruncate");
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/%s", arguments[0], names[0]);
    int tags = open_file(directory, "tags", O_RDWR);
    uint8_t data[page_size];
    for (size_t page = 0; page < pages; page++) {
        memset(data, data_byte(page), sizeof data);
        write_exactly(fds[0], data, sizeof data, (off_t)page * page_size, "a page");
        set_page_tags(tags, (off_t)page * page_size, 1, page % tag_count);
    }
    catch_faults();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_file(directory, &files[i], pages);
    printf("ok scattered\n");
    return 0;
}
