/// Programs that are started, waited for, and given memory: what Swift has no words for.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// Starts a program, which is looked for in PATH. It has the caller's standard streams and those of `descriptors`, and
/// gets SIGTERM when the calling thread ends. `arguments` ends with NULL. Returns its process, or a negative errno.
///
/// From now on SIGINT and SIGQUIT of the terminal are the program's alone, and SIGTERM and SIGHUP are handed on to it.
/// Once in the life of a process.
pid_t cguest_start(const char *const *arguments, const int *descriptors, int count);

/// Starts a program that serves this one: in a group of its own, which the terminal's signals do not reach. It gets
/// SIGTERM when the calling thread ends. Otherwise as `cguest_start`, but any number of times.
pid_t cguest_start_beside(const char *const *arguments);

/// A descriptor, closed on exec, that can be read when the program has ended; -1 if there is none.
int cguest_watch(pid_t process);

/// Whether the program has ended.
bool cguest_has_ended(pid_t process);

/// Waits until the program has ended. Returns what waitpid(2) says of it.
int cguest_wait(pid_t process);

/// Ends this process as the program has ended: with its status, or by its signal.
void cguest_end_like(int status) __attribute__((noreturn));

/// Maps `length` bytes of a file from `offset` on, shared, for reading and writing, into a process that this one has
/// started, in place of what is at `address` there. `file` is a descriptor of that process.
///
/// The process is stopped for it and goes on as if nothing had been. Returns 0 or an errno: ENOSYS on a processor that
/// this is not written for, EAGAIN if the process was not found waiting in a system call within a second.
int cguest_map(pid_t process, uint64_t address, uint64_t length, int file, uint64_t offset);

/// Whether an open file is in a FUSE file system.
bool cguest_is_in_fuse(int file);

/// A file without a name, in memory, which is closed on exec. Returns a descriptor or a negative errno.
int cguest_memory_file(const char *name);
