// What a file system daemon does with processes and descriptors, which Swift cannot: fork, and GNU's own calls.
#ifndef CFUSE_PROCESS_H
#define CFUSE_PROCESS_H

#include <semaphore.h>
#include <stdbool.h>

/// Opens /dev/null on those of the descriptors 0 to 2 that are closed, so that no other file gets their numbers. Using
/// one still fails with EBADF: what is to be written to a closed stdout is not lost in silence. To be called before
/// anything else opens a file. Ends the process with status 1 if there is no /dev/null.
void cfuse_fill_standard_descriptors(void);

/// Forks into the background. In the child, returns a descriptor for the two functions below. The parent does not
/// return: it exits with status 0 once the file system at `mountpoint` answers and the child has let go of the
/// terminal; with the child's status if that fails before; with status 1, after a line on stderr, if the child ends
/// without a word or the mount does not answer in time.
/// Call before any thread is started. Returns -1 with errno set if the process cannot fork.
int cfuse_background(const char *mountpoint);

/// Says that requests are served from now on, and waits until the parent has had an answer, or has gone. Blocks for as
/// long as that takes: not for a thread that serves requests.
void cfuse_background_serving(int descriptor);

/// Detaches from the terminal and lets the parent go.
void cfuse_background_detach(int descriptor);

/// Starts a process that aborts the FUSE connection of this number when the calling thread dies. It can end that
/// connection and no other, also when the number was given away again.
///
/// A daemon that is killed while it recalls a page sleeps in the kernel until the page is written back, which nobody
/// does any more, and it holds the connection open meanwhile: neither it nor its clients could end. The guard breaks
/// the circle. It ends with the calling thread, also if that ends in an orderly way; the abort then finds nothing to
/// do. Call from the main thread, before other threads are started.
///
/// Returns 0, or a negative errno if there can be no guard: -ENOENT if /sys/fs/fuse/connections is not mounted and the
/// process may not mount.
int cfuse_start_guard(unsigned connection);

/// Lets memory of the process that was freed be used again rather than given back at once: waiting writes keep up to a
/// MiB each for a moment, and every page of memory that is new costs a page fault.
void cfuse_keep_freed_memory(void);

/// Names the calling thread, as ps and gdb show it. At most 15 bytes.
void cfuse_name_thread(const char *name);

/// Waits for a post, `nanoseconds` of CLOCK_MONOTONIC at most. Returns whether there was one.
bool cfuse_semaphore_wait(sem_t *semaphore, long nanoseconds);

#endif
