/// `vectors`: every kind of read and write system call stops at the same byte.
///
/// Two pages have one tag up to a boundary, and another from there to the end of the second page.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

enum { near_tag = 6, far_tag = 11, total = 2 * page_size };

struct vectors {
    const char *directory;
    off_t base;
    int mem, tags, near;
    uint8_t contents[total];
};

/// Fresh contents, and the boundary, which is a multiple of the granule's size.
static void prepare(struct vectors *test, size_t boundary, uint8_t seed) {
    for (size_t i = 0; i < total; i++)
        test->contents[i] = (uint8_t)(seed + i * 7 + i / 251);
    write_exactly(test->mem, test->contents, total, test->base, "mem");
    uint8_t packed[2 * tag_bytes_per_page];
    for (size_t i = 0; i < sizeof packed; i++) {
        unsigned low = i * 32 < boundary ? near_tag : far_tag, high = i * 32 + 16 < boundary ? near_tag : far_tag;
        packed[i] = (uint8_t)(low | high << 4);
    }
    write_exactly(test->tags, packed, sizeof packed, test->base / 32, "tags");
}

/// `mem` has what the model says.
static void expect_contents(struct vectors *test, const char *what) {
    uint8_t found[total];
    read_exactly(test->mem, found, total, test->base, what);
    expect_equal(found, test->contents, total, what);
}

static void expect_count(ssize_t count, size_t expected, const char *what) {
    if (count < 0)
        fail_errno("%s: not %zu", what, expected);
    if ((size_t)count != expected)
        fail("%s: %zd bytes, not %zu", what, count, expected);
}

static void expect_refusal(ssize_t count, const char *what) {
    if (count >= 0)
        fail("%s: %zd bytes, not EFAULT", what, count);
    if (errno != EFAULT)
        fail_errno("%s: not EFAULT", what);
}

/// Vectors of odd lengths over one buffer.
static int split(struct iovec *vectors, uint8_t *buffer, size_t length) {
    static const size_t lengths[] = {1, 15, 17, 3, 0, 333, 64, 5, 1000, 13, 2047};
    int count = 0;
    for (size_t at = 0; at < length; count++) {
        size_t now = lengths[count % 11] < length - at ? lengths[count % 11] : length - at;
        vectors[count] = (struct iovec){buffer + at, now};
        at += now;
    }
    return count;
}

static void vectored_reads(struct vectors *test, size_t boundary) {
    uint8_t buffer[total];
    struct iovec vectors[64];
    int count = split(vectors, buffer, total - 3);
    step("preadv, boundary %zu", boundary);
    expect_count(preadv(test->near, vectors, count, test->base + 3), boundary - 3, "preadv");
    expect_equal(buffer, test->contents + 3, boundary - 3, "preadv");
    step("preadv2, boundary %zu", boundary);
    memset(buffer, 0, sizeof buffer);
    expect_count(preadv2(test->near, vectors, count, test->base + 3, 0), boundary - 3, "preadv2");
    expect_equal(buffer, test->contents + 3, boundary - 3, "preadv2");
    expect_refusal(preadv2(test->near, vectors, count, test->base + (off_t)boundary, 0), "preadv2 past the boundary");
    step("readv, boundary %zu", boundary);
    memset(buffer, 0, sizeof buffer);
    if (lseek(test->near, test->base + 3, SEEK_SET) < 0)
        fail_errno("lseek");
    expect_count(readv(test->near, vectors, count), boundary - 3, "readv");
    expect_equal(buffer, test->contents + 3, boundary - 3, "readv");
    if (lseek(test->near, 0, SEEK_CUR) != test->base + (off_t)boundary)
        fail("readv left the file position elsewhere");
    expect_refusal(readv(test->near, vectors, count), "readv at the boundary");
}

static void vectored_writes(struct vectors *test, size_t boundary) {
    uint8_t buffer[total];
    struct iovec vectors[64];
    int count = split(vectors, buffer, total - 5);
    memset(buffer, 0xd1, sizeof buffer);
    step("pwritev, boundary %zu", boundary);
    expect_count(pwritev(test->near, vectors, count, test->base + 5), boundary - 5, "pwritev");
    memset(test->contents + 5, 0xd1, boundary - 5);
    expect_contents(test, "after pwritev");
    expect_refusal(pwritev(test->near, vectors, count, test->base + (off_t)boundary), "pwritev past the boundary");
    expect_contents(test, "after a refused pwritev");
    step("writev, boundary %zu", boundary);
    memset(buffer, 0xd2, sizeof buffer);
    if (lseek(test->near, test->base + 5, SEEK_SET) < 0)
        fail_errno("lseek");
    expect_count(writev(test->near, vectors, count), boundary - 5, "writev");
    memset(test->contents + 5, 0xd2, boundary - 5);
    expect_contents(test, "after writev");
    step("O_SYNC write, boundary %zu", boundary);
    int fd = open_view(test->directory, near_tag, O_RDWR | O_SYNC);
    memset(buffer, 0xd3, sizeof buffer);
    expect_write(fd, buffer, total, test->base, boundary, "O_SYNC write");
    memset(test->contents, 0xd3, boundary);
    expect_contents(test, "after an O_SYNC write");
    close(fd);
}

static void direct(struct vectors *test, size_t boundary) {
    step("O_DIRECT, boundary %zu", boundary);
    uint8_t *buffer = aligned_alloc(page_size, total);
    if (buffer == NULL)
        fail("no memory");
    int fd = open_view(test->directory, near_tag, O_RDWR | O_DIRECT);
    expect_read(fd, buffer, total, test->base, boundary, "O_DIRECT read");
    expect_equal(buffer, test->contents, boundary, "O_DIRECT read");
    memset(buffer, 0xe4, total);
    expect_write(fd, buffer, total, test->base, boundary, "O_DIRECT write");
    memset(test->contents, 0xe4, boundary);
    expect_contents(test, "after an O_DIRECT write");
    expect_write(fd, buffer, page_size, test->base + page_size, boundary > page_size ? boundary - page_size : 0,
                 "O_DIRECT write of the second page");
    memset(test->contents, 0xe4, boundary);
    expect_contents(test, "after an O_DIRECT write of the second page");
    close(fd);
    free(buffer);
}

static void checked(struct vectors *test, size_t boundary) {
    step("checked, boundary %zu", boundary);
    uint8_t buffer[total];
    struct iovec vectors[64];
    int count = split(vectors, buffer, total);
    int fd = open_file(test->directory, "checked", O_RDWR);
    expect_count(preadv(fd, vectors, count, tagged_offset(test->base, near_tag)), boundary, "checked preadv");
    expect_equal(buffer, test->contents, boundary, "checked preadv");
    size_t rest = total - boundary;
    expect_read(fd, buffer, rest, tagged_offset(test->base + (off_t)boundary, far_tag), rest, "checked, far tag");
    expect_equal(buffer, test->contents + boundary, rest, "checked, far tag");
    expect_read(fd, buffer, total, tagged_offset(test->base, far_tag), 0, "checked, wrong tag");
    memset(buffer, 0x77, sizeof buffer);
    expect_count(pwritev(fd, vectors, count, tagged_offset(test->base, near_tag)), boundary, "checked pwritev");
    memset(test->contents, 0x77, boundary);
    expect_contents(test, "after a checked pwritev");
    close(fd);
}

/// Bytes that came through a pipe or into another file are a prefix of the contents, no longer than allowed.
static void expect_prefix(
    const uint8_t *found, size_t length, struct vectors *test, size_t boundary, const char *what
) {
    if (length > boundary)
        fail("%s: %zu bytes came across a boundary at %zu", what, length, boundary);
    expect_equal(found, test->contents, length, what);
}

/// splice(2) and sendfile(2) go through the page cache, which holds whole pages: a page that is mixed is refused
/// whole (EFAULT or EIO), and everything before it comes through.
static void piped(struct vectors *test, size_t boundary) {
    uint8_t buffer[total];
    size_t whole = boundary / page_size * page_size;
    int pipes[2];
    step("splice from a view, boundary %zu", boundary);
    if (pipe2(pipes, O_CLOEXEC) != 0)
        fail_errno("pipe2");
    for (size_t at = 0; at < total;) {
        loff_t offset = test->base + (loff_t)at;
        ssize_t count = splice(test->near, &offset, pipes[1], NULL, total - at, 0);
        if (count < 0 && errno != EFAULT && errno != EIO)
            fail_errno("splice");
        if (count <= 0) {
            if (at < whole)
                fail("splice: refused after %zu bytes, whose page has one tag", at);
            break;
        }
        if (read(pipes[0], buffer + at, (size_t)count) != count)
            fail_errno("read of the pipe");
        at += (size_t)count;
        expect_prefix(buffer, at, test, boundary, "splice");
    }
    step("splice to a view, boundary %zu", boundary);
    memset(buffer, 0x3c, sizeof buffer);
    if (write(pipes[1], buffer, total) != total)
        fail_errno("write to the pipe");
    size_t written = 0;
    while (written < total) {
        loff_t offset = test->base + (loff_t)written;
        ssize_t count = splice(pipes[0], NULL, test->near, &offset, total - written, 0);
        if (count < 0 && errno != EFAULT)
            fail_errno("splice to a view");
        if (count <= 0)
            break;
        written += (size_t)count;
    }
    if (written != boundary)
        fail("splice to a view: %zu bytes, not %zu", written, boundary);
    memset(test->contents, 0x3c, boundary);
    expect_contents(test, "after a splice to a view");
    close(pipes[0]);
    close(pipes[1]);

    step("sendfile, boundary %zu", boundary);
    int file = memfd_create("sendfile", MFD_CLOEXEC);
    if (file < 0)
        fail_errno("memfd_create");
    size_t sent = 0;
    for (off_t offset = test->base; sent < total;) {
        ssize_t count = sendfile(file, test->near, &offset, total - sent);
        if (count < 0 && errno != EFAULT && errno != EIO)
            fail_errno("sendfile");
        if (count <= 0)
            break;
        sent += (size_t)count;
    }
    if (sent < whole)
        fail("sendfile: refused after %zu bytes, whose page has one tag", sent);
    read_exactly(file, buffer, sent, 0, "the file that was sent to");
    expect_prefix(buffer, sent, test, boundary, "sendfile");
    close(file);
}

/// Within the mount, from the near view to mem, two pages further on.
static void copied(struct vectors *test, size_t boundary) {
    step("copy_file_range, boundary %zu", boundary);
    uint8_t found[total], zeros[total] = {0};
    off_t target = test->base + total;
    write_exactly(test->mem, zeros, total, target, "mem");
    size_t done = 0;
    while (done < total) {
        loff_t from = test->base + (loff_t)done, to = target + (loff_t)done;
        ssize_t count = copy_file_range(test->near, &from, test->mem, &to, total - done, 0);
        if (count < 0 && errno != EFAULT && errno != EIO)
            fail_errno("copy_file_range");
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (done < boundary / page_size * page_size)
        fail("copy_file_range: refused after %zu bytes, whose page has one tag", done);
    read_exactly(test->mem, found, total, target, "mem");
    expect_prefix(found, done, test, boundary, "copy_file_range");
    expect_equal(found + done, zeros, total - done, "past what copy_file_range counted");
}

/// A view has no end to append to: the write is refused, and nothing of the pages changes.
static void append(struct vectors *test) {
    step("O_APPEND");
    int fd = open_view(test->directory, near_tag, O_WRONLY | O_APPEND);
    ssize_t count = pwrite(fd, "appended bytes!!", 16, test->base);
    if (count > 0)
        fail("an appending write to a view wrote %zd bytes", count);
    expect_contents(test, "after an appending write");
    close(fd);
}

int vectors_main(int count, char **arguments) {
    if (count != 2)
        usage();
    struct vectors test = {.directory = arguments[0], .base = parse_offset(arguments[1], page_size)};
    step("setting up");
    test.mem = open_file(test.directory, "mem", O_RDWR);
    test.tags = open_file(test.directory, "tags", O_RDWR);
    test.near = open_view(test.directory, near_tag, O_RDWR);
    static const size_t boundaries[] = {16, 256, 1008, page_size - 16, page_size, page_size + 16, total - 16};
    for (size_t i = 0; i < sizeof boundaries / sizeof *boundaries; i++) {
        size_t boundary = boundaries[i];
        step("setting up boundary %zu", boundary);
        prepare(&test, boundary, (uint8_t)(i * 31));
        vectored_reads(&test, boundary);
        vectored_writes(&test, boundary);
        direct(&test, boundary);
        checked(&test, boundary);
        prepare(&test, boundary, (uint8_t)(i * 31 + 1));
        piped(&test, boundary);
        copied(&test, boundary);
        append(&test);
    }
    printf("ok vectors\n");
    return 0;
}
