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

/// `fuse_session_new`, which is a macro from libfuse 3.17 on. `arguments` are `count` strings, program name first.
/// Returns NULL after libfuse has said on stderr why.
struct fuse_session *cfuse_session_new(char *const *arguments, int count, const struct fuse_lowlevel_ops *operations,
                                       void *userdata);

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

/// Reads requests and writes replies in libfuse's stead, which is needed for two things:
///
/// - With `allow_direct_io_mmap`, FUSE_DIRECT_IO_ALLOW_MMAP (kernel 6.6) is negotiated: files opened with direct_io can
///   be mapped. libfuse before 3.17 has no name for it, so the bit is set in the INIT reply on its way to the kernel.
/// - A connection that ends in the middle of a request counts as unmounted, and not as an error.
///
/// Call after fuse_session_mount and before the loop; one session a process. Returns 0 or a negative errno.
int cfuse_take_over_io(struct fuse_session *session, bool allow_direct_io_mmap);

/// Whether the kernel took FUSE_DIRECT_IO_ALLOW_MMAP; known from the INIT operation on.
bool cfuse_allows_direct_io_mmap(void);

#endif
