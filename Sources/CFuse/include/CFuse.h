// libfuse3's low-level interface as Swift imports it, and what of it only C can say.
//
// _FILE_OFFSET_BITS is left alone: Swift's Glibc module is compiled without it.
#ifndef CFUSE_H
#define CFUSE_H

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "CFuseProcess.h"

// MARK: Names that do not import, or import as slow getters

static const uint32_t cfuse_S_IFREG = S_IFREG;
static const uint32_t cfuse_S_IFDIR = S_IFDIR;
static const uint32_t cfuse_S_IFLNK = S_IFLNK;
static const int cfuse_SEEK_DATA = 3; // <unistd.h> has it for _GNU_SOURCE only
static const int cfuse_FALLOC_FL_KEEP_SIZE = FALLOC_FL_KEEP_SIZE;
static const int cfuse_FALLOC_FL_PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE;
static const unsigned cfuse_RENAME_NOREPLACE = 1; // <stdio.h> has it for _GNU_SOURCE only

// MARK: Session

/// What a session's hooks know; its user data. It outlives the session.
struct cfuse_context {
    /// Whose session it is.
    void *owner;
    /// Negotiate FUSE_DIRECT_IO_ALLOW_MMAP if the kernel has it; whether it has, from the INIT operation on.
    bool wants_direct_io_mmap, allows_direct_io_mmap;
    /// The INIT request that is not answered yet; 0 is never a request's number.
    uint64_t init_unique;
};

/// `fuse_session_new`, which is a macro from libfuse 3.17 on. `arguments` are `count` strings, program name first.
/// Returns NULL after libfuse has said on stderr why.
struct fuse_session *cfuse_session_new(char *const *arguments, int count, const struct fuse_lowlevel_ops *operations,
                                       struct cfuse_context *context);

/// Runs the session's loop on `threads` threads until the session exits or the file system is unmounted.
/// Returns 0, a signal's number, or a negative errno.
int cfuse_session_loop(struct fuse_session *session, unsigned threads);

// MARK: Capabilities

/// Declines a capability that libfuse would negotiate by itself.
static inline void cfuse_decline(struct fuse_conn_info *connection, uint64_t capability) {
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    fuse_unset_feature_flag(connection, capability);
#else
    connection->want &= ~(unsigned)capability;
#endif
}

/// Tells the kernel that the file `node` has become `size` bytes long, so that accesses of mappings reach that far and
/// what they store is written back. Until it asks for the size, the kernel takes the file for longer, up to the first bytes
/// of the page behind the end. Returns 0 or a negative errno (-ENOENT: the kernel does not know the file).
int cfuse_notify_size(struct fuse_session *session, fuse_ino_t node, uint64_t size);

/// Asks the kernel for `size` bytes of what it has cached of a file; the `retrieve_reply` operation gets them, and
/// `cookie`. Returns 0 or a negative errno.
int cfuse_notify_retrieve(struct fuse_session *session, fuse_ino_t node, uint64_t offset, size_t size,
                          uint64_t cookie);

/// Reads requests and writes replies in libfuse's stead, which is needed for three things:
///
/// - FUSE_DIRECT_IO_ALLOW_MMAP (kernel 6.6) is negotiated: files opened with direct_io can be mapped. libfuse before
///   3.17 has no name for it, so the bit is set in the INIT reply on its way to the kernel.
/// - A connection that ends in the middle of a request counts as unmounted, and not as an error.
/// - An answer that the kernel refuses is answered all the same; see `cfuse_write_message`.
///
/// Call after fuse_session_mount and before the loop. Returns 0 or a negative errno.
int cfuse_take_over_io(struct fuse_session *session);

/// The number of the request that the calling thread, one of the session's loop, has read last and is serving. Numbers
/// grow in the order in which the kernel sends requests.
uint64_t cfuse_current_unique(void);

// MARK: Answers

typedef ssize_t cfuse_writev(int fd, const struct iovec *parts, int count);

/// Writes a message for the kernel by `write_parts`, which is writev(2) but in tests. Returns what that does; but
///
/// - where the kernel refuses an answer that somebody waits for, it gets EIO for an answer: libfuse gives the request
///   up, and nobody could answer it later. Fails with ENOENT then, as for an answer that nobody waits for any more.
/// - fails with ENOENT, of which libfuse says nothing, where the connection is over.
ssize_t cfuse_write_message(struct cfuse_context *context, int fd, struct iovec *parts, int count,
                            cfuse_writev *write_parts);

/// FOPEN_* of the kernel's ABI, of which libfuse 3.14 has no name for all.
static const uint32_t cfuse_OPEN_DIRECT_IO = 1u << 0;
static const uint32_t cfuse_OPEN_KEEP_CACHE = 1u << 1;
static const uint32_t cfuse_OPEN_NONSEEKABLE = 1u << 2;
static const uint32_t cfuse_OPEN_NOFLUSH = 1u << 5;
static const uint32_t cfuse_OPEN_PARALLEL_DIRECT_WRITES = 1u << 6; // kernel 6.2

/// Answers OPEN with a file handle and cfuse_OPEN_* flags. Returns 0 or a negative errno.
int cfuse_reply_open(fuse_req_t request, uint64_t handle, uint32_t flags);

#endif
