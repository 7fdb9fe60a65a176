#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// MARK: Reporting

static char first_step[step_capacity] = "start";
char *current_step = first_step;

void step(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(current_step, step_capacity, format, list);
    va_end(list);
}

/// One write, so that lines of several processes do not mix; no allocation, so that a forked child may call it.
static void print_failure(const char *format, va_list list, int error) {
    char line[1024];
    int length = snprintf(line, sizeof line, "FAIL in %s: ", current_step);
    length += vsnprintf(line + length, sizeof line - length, format, list);
    if (length < (int)sizeof line && error != 0)
        length += snprintf(line + length, sizeof line - length, ": %s", errno_name(error));
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    if (write(STDOUT_FILENO, line, length) < 0)
        _exit(status_failed);
}

void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    print_failure(format, list, 0);
    va_end(list);
    _exit(status_failed);
}

void fail_errno(const char *format, ...) {
    int error = errno;
    va_list list;
    va_start(list, format);
    print_failure(format, list, error);
    va_end(list);
    _exit(status_failed);
}

const char *errno_name(int error) {
    const char *name = strerrorname_np(error);
    return name == NULL ? "unknown errno" : name;
}

void print_wait(int process, int task) {
    static const char *const files[] = {"stack", "wchan"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[80], text[2048];
        snprintf(path, sizeof path, "/proc/%d/task/%d/%s", process, task, files[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t length = read(fd, text, sizeof text - 1);
        close(fd);
        if (length > 0) {
            text[length] = 0;
            printf("%s:\n%s\n", path, text);
            return;
        }
    }
    printf("/proc/%d/task/%d: neither stack nor wchan is readable\n", process, task);
}

// MARK: Arguments

uint64_t parse_number(const char *text) {
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-') {
        fprintf(stderr, "not a number: %s\n", text);
        usage();
    }
    return number;
}

off_t parse_offset(const char *text, uint64_t alignment) {
    uint64_t offset = parse_number(text);
    if (offset % alignment != 0) {
        fprintf(stderr, "not a multiple of %#llx: %s\n", (unsigned long long)alignment, text);
        usage();
    }
    return (off_t)offset;
}

// MARK: Time and chance

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void sleep_seconds(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&time, &time) < 0 && errno == EINTR) {
    }
}

uint64_t random_next(struct random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

unsigned random_below(struct random *random, unsigned bound) {
    return (unsigned)((random_next(random) >> 32) * bound >> 32);
}

// MARK: Faults

static _Thread_local sigjmp_buf *landing;
static _Thread_local struct fault caught;

static void handle_bus_error(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (landing == NULL)
        fail("SIGBUS outside a guarded access, at %p", info->si_addr);
    caught.code = info->si_code;
    caught.address = (uintptr_t)info->si_addr;
    siglongjmp(*landing, 1);
}

void catch_faults(void) {
    // SA_NODEFER: the handler leaves by a jump that does not restore the signal mask.
    struct sigaction action = {.sa_sigaction = handle_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGBUS, &action, NULL) != 0)
        fail_errno("sigaction");
}

/// Both sides have the same alignment within a word, or are copied by bytes.
static size_t unit_at(uintptr_t a, uintptr_t b, size_t left) {
    return ((a | b) % 8 == 0 && left >= 8) ? 8 : 1;
}

static bool guarded_copy(
    volatile uint8_t *to, const volatile uint8_t *from, size_t length, size_t *done, struct fault *fault
) {
    sigjmp_buf here;
    volatile size_t position = 0;
    bool whole = true;
    if (sigsetjmp(here, 0) == 0) {
        landing = &here;
        atomic_signal_fence(memory_order_seq_cst);
        while (position < length) {
            size_t i = position;
            size_t unit = unit_at((uintptr_t)(to + i), (uintptr_t)(from + i), length - i);
            if (unit == 8)
                *(volatile uint64_t *)(to + i) = *(const volatile uint64_t *)(from + i);
            else
                to[i] = from[i];
            position = i + unit;
        }
    } else {
        whole = false;
        if (fault != NULL)
            *fault = caught;
    }
    atomic_signal_fence(memory_order_seq_cst);
    landing = NULL;
    if (done != NULL)
        *done = position;
    return whole;
}

bool guarded_load(void *to, const volatile void *from, size_t length, size_t *done, struct fault *fault) {
    return guarded_copy(to, from, length, done, fault);
}

bool guarded_store(volatile void *to, const void *from, size_t length, size_t *done, struct fault *fault) {
    return guarded_copy(to, from, length, done, fault);
}

uint8_t expect_load(const volatile uint8_t *address, const char *what) {
    uint8_t value = 0;
    struct fault fault;
    if (!guarded_load(&value, address, 1, NULL, &fault))
        fail("%s: a legal load got SIGBUS (code %d)", what, fault.code);
    return value;
}

void expect_store(volatile uint8_t *address, uint8_t value, const char *what) {
    struct fault fault;
    if (!guarded_store(address, &value, 1, NULL, &fault))
        fail("%s: a legal store got SIGBUS (code %d)", what, fault.code);
}

static void expect_exact(const volatile uint8_t *address, struct fault fault, const char *what) {
    if (fault.code != BUS_ADRERR)
        fail("%s: SIGBUS with si_code %d, not BUS_ADRERR", what, fault.code);
    if (fault.address != (uintptr_t)address)
        fail("%s: si_addr is %+lld bytes off", what, (long long)(fault.address - (uintptr_t)address));
}

void expect_load_fault(const volatile uint8_t *address, const char *what) {
    uint8_t value = 0;
    struct fault fault;
    if (guarded_load(&value, address, 1, NULL, &fault))
        fail("%s: a load of a mismatching page was done (found %#x)", what, value);
    expect_exact(address, fault, what);
}

void expect_store_fault(volatile uint8_t *address, const char *what) {
    uint8_t value = 0xee;
    struct fault fault;
    if (guarded_store(address, &value, 1, NULL, &fault))
        fail("%s: a store to a mismatching page was done", what);
    expect_exact(address, fault, what);
}

// MARK: Files of a memory object

int open_file(const char *directory, const char *name, int flags) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        fail_errno("open %s", path);
    return fd;
}

int open_view(const char *directory, unsigned tag, int flags) {
    char name[16];
    snprintf(name, sizeof name, "views/%x", tag);
    return open_file(directory, name, flags);
}

uint8_t *map_file(int fd, off_t offset, size_t length, int protection) {
    uint8_t *address = mmap(NULL, length, protection, MAP_SHARED, fd, offset);
    if (address == MAP_FAILED)
        fail_errno("mmap at offset %#llx", (unsigned long long)offset);
    return address;
}

void expect_read(int fd, void *buffer, size_t length, off_t offset, size_t expected, const char *what) {
    ssize_t count = pread(fd, buffer, length, offset);
    if (expected == 0 && length != 0) {
        if (count >= 0)
            fail("%s: read %zd bytes, not EFAULT", what, count);
        if (errno != EFAULT)
            fail_errno("%s: not EFAULT", what);
    } else if (count < 0) {
        fail_errno("%s: read of %zu bytes at %#llx", what, length, (unsigned long long)offset);
    } else if ((size_t)count != expected) {
        fail("%s: read %zd bytes, not %zu", what, count, expected);
    }
}

void expect_write(int fd, const void *buffer, size_t length, off_t offset, size_t expected, const char *what) {
    ssize_t count = pwrite(fd, buffer, length, offset);
    if (expected == 0 && length != 0) {
        if (count >= 0)
            fail("%s: wrote %zd bytes, not EFAULT", what, count);
        if (errno != EFAULT)
            fail_errno("%s: not EFAULT", what);
    } else if (count < 0) {
        fail_errno("%s: write of %zu bytes at %#llx", what, length, (unsigned long long)offset);
    } else if ((size_t)count != expected) {
        fail("%s: wrote %zd bytes, not %zu", what, count, expected);
    }
}

void read_exactly(int fd, void *buffer, size_t length, off_t offset, const char *what) {
    expect_read(fd, buffer, length, offset, length, what);
}

void write_exactly(int fd, const void *buffer, size_t length, off_t offset, const char *what) {
    expect_write(fd, buffer, length, offset, length, what);
}

void expect_equal(const void *found, const void *expected, size_t length, const char *what) {
    const uint8_t *a = found, *b = expected;
    for (size_t i = 0; i < length; i++)
        if (a[i] != b[i])
            fail("%s: byte %zu of %zu is %#x, not %#x", what, i, length, a[i], b[i]);
}

void set_page_tags(int tags_fd, off_t offset, size_t pages, unsigned tag) {
    uint8_t bytes[64 * tag_bytes_per_page];
    memset(bytes, (int)(tag | tag << 4), sizeof bytes);
    while (pages > 0) {
        size_t now = pages < 64 ? pages : 64;
        write_exactly(tags_fd, bytes, now * tag_bytes_per_page, offset / 32, "tags of pages");
        pages -= now;
        offset += (off_t)now * page_size;
    }
}

void set_granule_tag(int tags_fd, off_t offset, unsigned tag) {
    uint8_t byte;
    read_exactly(tags_fd, &byte, 1, offset / 32, "tag byte");
    byte = offset & granule_size ? (uint8_t)((byte & 0x0f) | tag << 4) : (uint8_t)((byte & 0xf0) | tag);
    write_exactly(tags_fd, &byte, 1, offset / 32, "tag byte");
}

off_t tagged_offset(off_t offset, unsigned tag) {
    return offset | (off_t)((uint64_t)tag << 56);
}

// MARK: Memory objects

int make_object(const char *mountpoint, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", mountpoint, name);
    if (mkdir(path, 0755) != 0)
        fail_errno("mkdir %s", path);
    return open_file(path, "mem", O_RDWR);
}

void remove_object(const char *mountpoint, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", mountpoint, name);
    if (rmdir(path) != 0)
        fail_errno("rmdir %s", path);
}
