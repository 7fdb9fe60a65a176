/// The client programs of the end-to-end tests: each sub-command drives the files of one memory object.
///
/// A memory object is named by its directory and by the offset of the first byte to use in it: for `phys` that
/// offset is a physical address, for the others it counts from 0.
#ifndef TAGMEM_CLIENT_H
#define TAGMEM_CLIENT_H

// Every source file includes this one first.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    page_size = 4096,
    granule_size = 16,
    granules_per_page = page_size / granule_size,
    tag_bytes_per_page = granules_per_page / 2,
    tag_count = 16,
};

/// Exit statuses: a check that failed, wrong arguments, and a call that did not come back.
enum { status_failed = 1, status_usage = 2, status_hang = 3 };

// MARK: Reporting (support.c)

/// Names what is being done, for the line that `fail` or the watchdog prints.
void step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Where `step` writes; the supervising process points it at shared memory.
extern char *current_step;
enum { step_capacity = 200 };

/// Prints one line, with the current step, and exits with `status_failed`.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// As `fail`, followed by errno's name.
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Raised by a usage error; prints the sub-command's usage and exits with `status_usage`.
_Noreturn void usage(void);
/// The name of an errno, `EFAULT` and not its description.
const char *errno_name(int error);
/// What the kernel says that a task waits in: its stack where that is readable, else its wait channel.
void print_wait(int process, int task);

// MARK: Arguments

uint64_t parse_number(const char *text);
/// An offset that is a multiple of `alignment`.
off_t parse_offset(const char *text, uint64_t alignment);

// MARK: Time and chance

double seconds_now(void);
void sleep_seconds(double seconds);

struct random {
    uint64_t state;
};
uint64_t random_next(struct random *random);
unsigned random_below(struct random *random, unsigned bound);

// MARK: Faults

struct fault {
    int code;
    uintptr_t address;
};

/// Installs the SIGBUS handler that the guarded accesses need. A SIGBUS outside one ends the program.
void catch_faults(void);

/// Copies from or to a mapping in address order, in aligned words where it can. True if all of it was done; else
/// the SIGBUS is in `fault`, and `*done` (if not null) is how many bytes were copied before it.
bool guarded_load(void *to, const volatile void *from, size_t length, size_t *done, struct fault *fault);
bool guarded_store(volatile void *to, const void *from, size_t length, size_t *done, struct fault *fault);

/// One byte that must be accessible, and one that must raise SIGBUS with BUS_ADRERR at exactly its address.
uint8_t expect_load(const volatile uint8_t *address, const char *what);
void expect_store(volatile uint8_t *address, uint8_t value, const char *what);
void expect_load_fault(const volatile uint8_t *address, const char *what);
void expect_store_fault(volatile uint8_t *address, const char *what);

// MARK: Files of a memory object

/// Opens DIRECTORY/NAME or fails.
int open_file(const char *directory, const char *name, int flags);
int open_view(const char *directory, unsigned tag, int flags);
uint8_t *map_file(int fd, off_t offset, size_t length, int protection);
/// The whole of it, or a failure that names `what`.
void read_exactly(int fd, void *buffer, size_t length, off_t offset, const char *what);
void write_exactly(int fd, const void *buffer, size_t length, off_t offset, const char *what);
/// Fails unless a pread (pwrite) transfers `expected` bytes, or if that is 0, is refused with EFAULT.
void expect_read(int fd, void *buffer, size_t length, off_t offset, size_t expected, const char *what);
void expect_write(int fd, const void *buffer, size_t length, off_t offset, size_t expected, const char *what);
void expect_equal(const void *found, const void *expected, size_t length, const char *what);

/// Gives all granules of the pages at `offset` one tag, through an open `tags` file.
void set_page_tags(int tags_fd, off_t offset, size_t pages, unsigned tag);
/// Gives one granule a tag, and leaves the other granule of its tag byte as it is.
void set_granule_tag(int tags_fd, off_t offset, unsigned tag);
/// A file offset of `checked`: a pointer with its address tag.
off_t tagged_offset(off_t offset, unsigned tag);

// MARK: Memory objects

/// Makes the object MOUNTPOINT/NAME, of size 0, and opens its `mem`.
int make_object(const char *mountpoint, const char *name);
void remove_object(const char *mountpoint, const char *name);

// MARK: Sub-commands

int touch_main(int count, char **arguments);
int access_main(int count, char **arguments);
int script_main(int count, char **arguments);
int revoke_main(int count, char **arguments);
int readahead_main(int count, char **arguments);
int vectors_main(int count, char **arguments);
int aio_main(int count, char **arguments);
int fds_main(int count, char **arguments);
int interrupt_main(int count, char **arguments);
int scattered_main(int count, char **arguments);
int storm_main(int count, char **arguments);
int shrink_main(int count, char **arguments);
int behind_main(int count, char **arguments);
int rivals_main(int count, char **arguments);
int tagstores_main(int count, char **arguments);
int always_main(int count, char **arguments);
int together_main(int count, char **arguments);
int crowd_main(int count, char **arguments);
int holds_main(int count, char **arguments);
int stuck_main(int count, char **arguments);
int refused_main(int count, char **arguments);
int handed_main(int count, char **arguments);
int mapother_main(int count, char **arguments);
int stress_main(int count, char **arguments);
int objects_main(int count, char **arguments);

#endif
