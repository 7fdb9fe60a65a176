/// The clauses of Linux's documentation of MTE (Documentation/arch/arm64/memory-tagging-extension.rst): each is a
/// function that runs in a process of its own, and returns if Linux does what the clause says.
#ifndef GUEST_CLAUSES_H
#define GUEST_CLAUSES_H

#include "mte.h"

#include <signal.h>
#include <sys/types.h>

struct clause {
    const char *name;
    void (*check)(void);
};

/// Each ends with a clause without a name.
extern const struct clause mapping_clauses[], fault_clauses[], mode_clauses[], syscall_clauses[], tag_clauses[],
    process_clauses[], ptrace_clauses[], core_clauses[];

/// Prints why the clause does not hold, and ends its process.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// The same with errno.
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define expect(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail("line %d of %s: not %s", __LINE__, __FILE_NAME__, #condition);                                        \
    } while (0)

/// The call fails, with this errno.
#define expect_errno(call, error)                                                                                      \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        if ((long)(call) != -1 || errno != (error))                                                                    \
            fail("line %d of %s: %s is not %s, errno %d", __LINE__, __FILE_NAME__, #call, #error, errno);              \
    } while (0)

// MARK: Memory

enum { all_tags = 0xffff, nonzero_tags = 0xfffe };

/// Fails if it is refused.
void *map(size_t size, int protection, int flags, int fd);
/// Private anonymous pages with PROT_MTE.
void *map_tagged(size_t pages);
/// A file of a file system that this mounts, a directory of its own: `tmpfs` or `ramfs`. It has been removed.
int file_on(const char *file_system, size_t size);
/// All granules have this tag.
void expect_tags(const void *pointer, size_t size, unsigned tag);
/// Whether smaps says that the mapping has PROT_MTE.
bool is_tagged_mapping(const void *pointer);

// MARK: Faults

/// What SIGSEGV said last.
struct fault {
    int code, count;
    uintptr_t address;
    pid_t thread;
};
extern volatile struct fault fault;

/// Catches SIGSEGV. The access of a synchronous fault is given up.
void catch_faults(int flags);
/// The code of the fault that a load or a store of a byte makes, or 0. A system call follows the access, so that an
/// asynchronous one has come.
int load_fault(const void *pointer);
int store_fault(void *pointer, uint8_t value);
/// The same of 8 bytes at any address.
int load_word_fault(const void *pointer, uint64_t *value);
int store_word_fault(void *pointer, uint64_t value);

/// Sets the mode, or fails.
void enter(unsigned long modes, unsigned long included);

// MARK: Processes

/// Runs the function in a child, and fails if it does.
void in_child(void (*function)(void *), void *argument);
/// The wait status of a child that runs the function.
int status_of_child(void (*function)(void *), void *argument);
/// Runs the function in a thread.
void in_thread(void (*function)(void *), void *argument);
/// This program, which was executed to print its initial state.
int print_initial_state(void);

#endif
