// What a file system daemon does with processes, which Swift cannot: fork.
#ifndef CFUSE_PROCESS_H
#define CFUSE_PROCESS_H

#include <semaphore.h>
#include <stdbool.h>

/// Forks into the background. In the child, returns a descriptor to give to cfuse_background_ready. The parent does
/// not return: it exits with status 0 once the child is ready, or with the child's status if that ends before.
/// Call before any thread is started. Returns -1 with errno set if the process cannot fork.
int cfuse_background(void);

/// Lets the parent of a process in the background go, and detaches from the terminal.
void cfuse_background_ready(int descriptor);

/// Starts a process that aborts the connection of this number, of the file system at `mountpoint`, when the calling
/// thread dies.
///
/// A daemon that is killed while it recalls a page sleeps in the kernel until the page is written back, which nobody
/// does any more, and it holds the connection open meanwhile: neither it nor its clients could end. The guard breaks
/// the circle. It ends with the calling thread, also if that ends in an orderly way; the abort then finds nothing to
/// do. Call from the main thread, before other threads are started. Returns 0 or a negative errno.
int cfuse_start_guard(const char *mountpoint, unsigned connection);

/// Names the calling thread, as ps and gdb show it. At most 15 bytes.
void cfuse_name_thread(const char *name);

/// Waits for a post, `nanoseconds` of CLOCK_MONOTONIC at most. Returns whether there was one.
bool cfuse_semaphore_wait(sem_t *semaphore, long nanoseconds);

#endif
