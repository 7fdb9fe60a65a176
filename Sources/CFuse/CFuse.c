#include "CFuse.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct fuse_session *cfuse_session_new(char *const *arguments, int count, const struct fuse_lowlevel_ops *operations,
                                       void *userdata) {
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *session = NULL;
    for (int i = 0; i < count; i++)
        if (fuse_opt_add_arg(&args, arguments[i]) != 0) goto out;
    session = fuse_session_new(&args, operations, sizeof *operations, userdata);
out:
    fuse_opt_free_args(&args);
    return session;
}

int cfuse_session_loop(struct fuse_session *session, unsigned threads) {
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config) return -ENOMEM;
    // Threads that come and go cost more than all else: idle ones stay.
    fuse_loop_cfg_set_idle_threads(config, threads);
    fuse_loop_cfg_set_max_threads(config, threads);
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

int cfuse_notify_size(struct fuse_session *session, fuse_ino_t node, uint64_t size) {
    // Answers to GETATTR that are on their way, with an older size, are not to count.
    int result = fuse_lowlevel_notify_inval_inode(session, node, -1, 0);
    if (result != 0)
        return result;
    // Only bytes that are stored move the end. These are behind it, in a page that nobody can have: one that the file
    // shows might be locked by a read that waits, or have something in it. Not at the page's beginning: the kernel would
    // take the page for a whole one.
    static char nothing[1];
    struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(sizeof nothing);
    bytes.buf[0].mem = nothing;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return fuse_lowlevel_notify_store(session, node, (off_t)((size + page - 1) / page * page + 1), &bytes, 0);
}

// MARK: FUSE_DIRECT_IO_ALLOW_MMAP

// The kernel's ABI (include/uapi/linux/fuse.h), as far as the INIT exchange needs it.
enum {
    OPCODE_INIT = 26,
    INIT_EXT = 1u << 30,               // flags: flags2 is valid
    INIT2_DIRECT_IO_ALLOW_MMAP = 1u << 4, // flags2: bit 36 of the two together
};

struct in_header {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid;
    uint16_t total_extlen, padding;
};
struct init_in {
    uint32_t major, minor, max_readahead, flags, flags2;
};
struct out_header {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};
struct init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2;
};
_Static_assert(sizeof(struct in_header) == 40, "fuse_in_header");
_Static_assert(sizeof(struct out_header) == 16, "fuse_out_header");
_Static_assert(offsetof(struct init_in, flags2) == 16, "fuse_init_in.flags2");
_Static_assert(offsetof(struct init_out, flags2) == 32, "fuse_init_out.flags2");

// The INIT request that is not answered yet. 0 is never a request's number.
static _Atomic uint64_t init_unique;
static _Atomic bool allowed;
static bool wanted;

static ssize_t read_request(int fd, void *buffer, size_t size, void *userdata) {
    (void)userdata;
    ssize_t count = read(fd, buffer, size);
    // An unmount in the middle of a request, or one by force, is an unmount all the same.
    if (count < 0 && errno == ECONNABORTED) errno = ENODEV;
    const struct in_header *header = buffer;
    if (count >= (ssize_t)(sizeof *header + sizeof(struct init_in)) && header->opcode == OPCODE_INIT) {
        const struct init_in *init = (const void *)(header + 1);
        if (wanted && init->flags & INIT_EXT && init->flags2 & INIT2_DIRECT_IO_ALLOW_MMAP) {
            allowed = true;
            init_unique = header->unique;
        }
    }
    return count;
}

static ssize_t write_reply(int fd, struct iovec *parts, int count, void *userdata) {
    (void)userdata;
    uint64_t unique = atomic_load_explicit(&init_unique, memory_order_relaxed);
    if (unique != 0 && count >= 2 && parts[0].iov_len == sizeof(struct out_header)) {
        const struct out_header *header = parts[0].iov_base;
        if (header->unique == unique && header->error == 0 && parts[1].iov_len >= sizeof(struct init_out)) {
            struct init_out *init = parts[1].iov_base;
            init->flags |= INIT_EXT;
            init->flags2 |= INIT2_DIRECT_IO_ALLOW_MMAP;
            init_unique = 0;
        }
    }
    return writev(fd, parts, count);
}

int cfuse_take_over_io(struct fuse_session *session, bool allow_direct_io_mmap) {
    wanted = allow_direct_io_mmap;
    static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

bool cfuse_allows_direct_io_mmap(void) { return allowed; }
