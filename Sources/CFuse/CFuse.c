#include "CFuse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct fuse_session *cfuse_session_new(char *const *arguments, int count, const struct fuse_lowlevel_ops *operations,
                                       struct cfuse_context *context) {
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *session = NULL;
    for (int i = 0; i < count; i++)
        if (fuse_opt_add_arg(&args, arguments[i]) != 0) goto out;
    session = fuse_session_new(&args, operations, sizeof *operations, context);
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

// libfuse has no name for a request's number. It serves a request on the thread that reads it.
static _Thread_local uint64_t current_unique;

uint64_t cfuse_current_unique(void) {
    return current_unique;
}

static ssize_t read_request(int fd, void *buffer, size_t size, void *userdata) {
    struct cfuse_context *context = userdata;
    ssize_t count = read(fd, buffer, size);
    // An unmount in the middle of a request, or one by force, is an unmount all the same.
    if (count < 0 && errno == ECONNABORTED) errno = ENODEV;
    const struct in_header *header = buffer;
    if (count >= (ssize_t)sizeof *header) current_unique = header->unique;
    if (count >= (ssize_t)(sizeof *header + sizeof(struct init_in)) && header->opcode == OPCODE_INIT) {
        const struct init_in *init = (const void *)(header + 1);
        if (context->wants_direct_io_mmap && init->flags & INIT_EXT && init->flags2 & INIT2_DIRECT_IO_ALLOW_MMAP) {
            context->allows_direct_io_mmap = true;
            __atomic_store_n(&context->init_unique, header->unique, __ATOMIC_RELAXED);
        }
    }
    return count;
}

// Whether the kernel says that nobody waits for the answer any more: for this one, or for any.
static bool is_over(int error) {
    return error == ENOENT || error == ENODEV || error == EBADF || error == ENOTCONN || error == ECONNABORTED;
}

ssize_t cfuse_write_message(struct cfuse_context *context, int fd, struct iovec *parts, int count,
                            cfuse_writev *write_parts) {
    const struct out_header *header = parts[0].iov_base;
    bool is_answer = count >= 1 && parts[0].iov_len == sizeof *header && header->unique != 0;
    uint64_t init_unique = __atomic_load_n(&context->init_unique, __ATOMIC_RELAXED);
    if (is_answer && header->unique == init_unique && header->error == 0 && count >= 2 &&
        parts[1].iov_len >= sizeof(struct init_out)) {
        struct init_out *init = parts[1].iov_base;
        init->flags |= INIT_EXT;
        init->flags2 |= INIT2_DIRECT_IO_ALLOW_MMAP;
        __atomic_store_n(&context->init_unique, 0, __ATOMIC_RELAXED);
    }
    ssize_t result = write_parts(fd, parts, count);
    if (result >= 0) return result;
    int error = errno;
    if (is_answer && !is_over(error)) {
        // libfuse gives the request up now, and whoever made it would wait for ever.
        fuse_log(FUSE_LOG_WARNING, "an answer of %u bytes in %d parts became EIO: %s\n", header->len, count,
                 strerror(error));
        struct out_header refusal = {.len = sizeof refusal, .error = -EIO, .unique = header->unique};
        struct iovec part = {.iov_base = &refusal, .iov_len = sizeof refusal};
        if (write_parts(fd, &part, 1) >= 0) error = ENOENT;
        else error = errno;
    }
    // libfuse has a word on stderr for every other error.
    errno = is_over(error) ? ENOENT : error;
    return -1;
}

static ssize_t write_message(int fd, struct iovec *parts, int count, void *userdata) {
    return cfuse_write_message(userdata, fd, parts, count, writev);
}

int cfuse_take_over_io(struct fuse_session *session) {
    static const struct fuse_custom_io io = {.writev = write_message, .read = read_request};
    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

int cfuse_reply_open(fuse_req_t request, uint64_t handle, uint32_t flags) {
    struct {
        uint64_t handle;
        uint32_t flags, padding;
    } answer = {.handle = handle, .flags = flags};
    return fuse_reply_buf(request, (const char *)&answer, sizeof answer);
}

int cfuse_notify_retrieve(struct fuse_session *session, fuse_ino_t node, uint64_t offset, size_t size,
                          uint64_t cookie) {
    return fuse_lowlevel_notify_retrieve(session, node, size, (off_t)offset, (void *)(uintptr_t)cookie);
}
