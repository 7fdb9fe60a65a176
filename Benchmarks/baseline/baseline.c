// The least that any FUSE daemon must do to serve tagmemd's memory: the same files at the same
// offsets, straight from memory, with no tag check. What tagmemd needs beyond this is its own cost.
//
//     MOUNTPOINT/phys/views/0   data memory, offset = physical address
//     MOUNTPOINT/phys/mem       data memory, then tag storage, offset = physical address
//     MOUNTPOINT/phys/tags      tag storage, offset = physical address / 32
//
// Of the coherence rules of tagmemd only one is kept, because it is what a change of tags costs: a
// page that may be mapped is taken away, and what was stored in it written back, before the write to
// `tags` returns. Two aliases of one page are not kept coherent otherwise.

#define FUSE_USE_VERSION 312
#define _GNU_SOURCE

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define DATA_BASE 0x40000000ull
#define DATA_SIZE 0x40000000ull
#define TAGS_BASE (DATA_BASE + DATA_SIZE)
#define TAGS_SIZE (DATA_SIZE / 32)
#define PAGE_COUNT (DATA_SIZE / PAGE)
#define TAG_BYTES_PER_PAGE (PAGE / 32)

// Names and attributes never change, so the kernel may keep them.
#define FOREVER 3600.0

// Bits of flags2 in the INIT reply, which libfuse has no names for before 3.17.
#define INIT_EXT (1u << 30)
#define DIRECT_IO_ALLOW_MMAP2 (1u << 4)

_Static_assert(sizeof(struct fuse_init_out) == 64, "the INIT reply is 64 bytes since protocol 7.23");

enum { ROOT = FUSE_ROOT_ID, PHYS, VIEWS, VIEW_0, MEM, TAGS, NODE_COUNT };

// A file shows the memory at [start, end) at the same file offsets; `shift` is what must be added to
// an offset to find its byte in `memory`, whose first byte is the one at DATA_BASE.
struct node {
    fuse_ino_t parent;
    const char *name;
    mode_t mode;
    uint64_t start, end;
    int64_t shift;
};

static const struct node nodes[NODE_COUNT] = {
    [ROOT] = {ROOT, "", S_IFDIR | 0755, 0, 0, 0},
    [PHYS] = {ROOT, "phys", S_IFDIR | 0755, 0, 0, 0},
    [VIEWS] = {PHYS, "views", S_IFDIR | 0755, 0, 0, 0},
    [VIEW_0] = {VIEWS, "0", S_IFREG | 0600, DATA_BASE, TAGS_BASE, -(int64_t)DATA_BASE},
    [MEM] = {PHYS, "mem", S_IFREG | 0600, DATA_BASE, TAGS_BASE + TAGS_SIZE, -(int64_t)DATA_BASE},
    [TAGS] = {PHYS, "tags", S_IFREG | 0600, DATA_BASE / 32, DATA_BASE / 32 + TAGS_SIZE,
              (int64_t)(DATA_SIZE - DATA_BASE / 32)},
};

static char *memory;

// ---- Recall: taking mapped pages away ----------------------------------------------------------

// A bit for each alias through which a page of data may be in the page cache.
#define HANDED_TO(ino) ((uint8_t)(1u << ((ino) - VIEW_0)))
static _Atomic uint8_t handed_out[PAGE_COUNT];

// A write of tags that waits for the pages it retags to be taken away.
struct recall {
    struct recall *next;
    fuse_req_t req;
    uint64_t first_page, end_page;
    size_t written;
};

static struct {
    struct fuse_session *session;
    pthread_mutex_t lock;
    pthread_cond_t added;
    struct recall *first, **last;
} recalls = {.lock = PTHREAD_MUTEX_INITIALIZER, .added = PTHREAD_COND_INITIALIZER, .last = &recalls.first};

static bool any_handed_out(uint64_t first_page, uint64_t end_page)
{
    for (uint64_t page = first_page; page < end_page; page++)
        if (atomic_load(&handed_out[page]))
            return true;
    return false;
}

static void recall_page(uint64_t page)
{
    // Cleared first: a READ that is answered during the recall hands the page out anew.
    uint8_t aliases = atomic_exchange(&handed_out[page], 0);
    for (fuse_ino_t ino = VIEW_0; ino <= MEM; ino++)
        if (aliases & HANDED_TO(ino))
            fuse_lowlevel_notify_inval_inode(recalls.session, ino, (off_t)(DATA_BASE + page * PAGE), PAGE);
}

static struct recall *next_recall(void)
{
    pthread_mutex_lock(&recalls.lock);
    while (!recalls.first)
        pthread_cond_wait(&recalls.added, &recalls.lock);
    struct recall *recall = recalls.first;
    recalls.first = recall->next;
    if (!recalls.first)
        recalls.last = &recalls.first;
    pthread_mutex_unlock(&recalls.lock);
    return recall;
}

// Runs on a thread of its own: the notification returns when the kernel has written a dirty page
// back, and that is a request which a thread that serves requests must be free to take.
static void *run_recalls(void *unused)
{
    for (;;) {
        struct recall *recall = next_recall();
        for (uint64_t page = recall->first_page; page < recall->end_page; page++)
            recall_page(page);
        fuse_reply_write(recall->req, recall->written);
        free(recall);
    }
    return unused;
}

static void add_recall(fuse_req_t req, uint64_t first_page, uint64_t end_page, size_t written)
{
    struct recall *recall = malloc(sizeof *recall);
    if (!recall) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *recall = (struct recall){.req = req, .first_page = first_page, .end_page = end_page, .written = written};
    pthread_mutex_lock(&recalls.lock);
    *recalls.last = recall;
    recalls.last = &recall->next;
    pthread_cond_signal(&recalls.added);
    pthread_mutex_unlock(&recalls.lock);
}

// ---- Requests ----------------------------------------------------------------------------------

static struct stat attributes(fuse_ino_t ino)
{
    return (struct stat){.st_ino = ino,
                         .st_mode = nodes[ino].mode,
                         .st_nlink = S_ISDIR(nodes[ino].mode) ? 2 : 1,
                         .st_uid = getuid(),
                         .st_gid = getgid(),
                         .st_size = (off_t)nodes[ino].end};
}

static void serve_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    for (fuse_ino_t ino = PHYS; ino < NODE_COUNT; ino++) {
        if (nodes[ino].parent != parent || strcmp(nodes[ino].name, name) != 0)
            continue;
        struct fuse_entry_param entry = {
            .ino = ino, .attr = attributes(ino), .attr_timeout = FOREVER, .entry_timeout = FOREVER};
        fuse_reply_entry(req, &entry);
        return;
    }
    fuse_reply_err(req, ENOENT);
}

static void serve_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)info;
    struct stat st = attributes(ino);
    fuse_reply_attr(req, &st, FOREVER);
}

// Sizes do not change, and asking for it is harmless.
static void serve_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which, struct fuse_file_info *info)
{
    (void)wanted;
    (void)which;
    serve_getattr(req, ino, info);
}

static void serve_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    info->direct_io = 1;
    fuse_reply_open(req, info);
}

static void serve_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    (void)info;
    char buffer[1024];
    size_t used = 0, room = size < sizeof buffer ? size : sizeof buffer;
    for (fuse_ino_t child = PHYS + (fuse_ino_t)offset; child < NODE_COUNT; child++) {
        if (nodes[child].parent != ino)
            continue;
        struct stat st = attributes(child);
        size_t needed = fuse_add_direntry(req, buffer + used, room - used, nodes[child].name, &st,
                                          (off_t)(child - PHYS + 1));
        if (needed > room - used)
            break;
        used += needed;
    }
    fuse_reply_buf(req, buffer, used);
}

// How many of the `size` bytes at `offset` there are: as many as are left before the end of the file.
static size_t available(const struct node *node, uint64_t offset, size_t size)
{
    uint64_t left = offset < node->end ? node->end - offset : 0;
    return left < size ? (size_t)left : size;
}

static char *bytes_at(const struct node *node, uint64_t offset)
{
    return memory + (int64_t)offset + node->shift;
}

static void note_handed_out(fuse_ino_t ino, uint64_t offset, size_t size)
{
    uint64_t first = (offset - DATA_BASE) / PAGE, end = (offset - DATA_BASE + size + PAGE - 1) / PAGE;
    for (uint64_t page = first; page < end && page < PAGE_COUNT; page++)
        atomic_fetch_or(&handed_out[page], HANDED_TO(ino));
}

static void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    const struct node *node = &nodes[ino];
    if ((uint64_t)offset < node->start) {
        fuse_reply_err(req, ENXIO);
        return;
    }
    size = available(node, (uint64_t)offset, size);
    // A read that fills the page cache has no lock owner; a direct one does.
    if (info->lock_owner == 0 && ino != TAGS)
        note_handed_out(ino, (uint64_t)offset, size);
    fuse_reply_buf(req, bytes_at(node, (uint64_t)offset), size);
}

static void serve_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                        struct fuse_file_info *info)
{
    (void)info;
    const struct node *node = &nodes[ino];
    if ((uint64_t)offset < node->start) {
        fuse_reply_err(req, ENXIO);
        return;
    }
    size = available(node, (uint64_t)offset, size);
    if (size == 0) {
        fuse_reply_err(req, ENOSPC);
        return;
    }
    memcpy(bytes_at(node, (uint64_t)offset), data, size);
    uint64_t first = 0, end = 0;
    if (ino == TAGS) {
        first = ((uint64_t)offset - node->start) / TAG_BYTES_PER_PAGE;
        end = ((uint64_t)offset - node->start + size + TAG_BYTES_PER_PAGE - 1) / TAG_BYTES_PER_PAGE;
    }
    if (any_handed_out(first, end))
        add_recall(req, first, end, size);
    else
        fuse_reply_write(req, size);
}

static void serve_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    // Replies come from memory and writes go to memory: a pipe in between only costs.
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static const struct fuse_lowlevel_ops operations = {
    .init = serve_init,
    .lookup = serve_lookup,
    .getattr = serve_getattr,
    .setattr = serve_setattr,
    .open = serve_open,
    .readdir = serve_readdir,
    .read = serve_read,
    .write = serve_write,
};

// ---- Session -----------------------------------------------------------------------------------

static ssize_t receive(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

// The first reply of a session is INIT's. It is the place to ask for files that are direct_io and
// mappable at once, which libfuse cannot ask for before 3.17. Linux before 6.6 ignores the bit, and
// mmap then fails with ENODEV.
static ssize_t reply(int fd, struct iovec *iov, int count, void *userdata)
{
    static atomic_bool initialised;
    (void)userdata;
    if (count != 2 || atomic_load(&initialised) || iov[1].iov_len != sizeof(struct fuse_init_out))
        return writev(fd, iov, count);
    atomic_store(&initialised, true);
    struct fuse_init_out init;
    memcpy(&init, iov[1].iov_base, sizeof init);
    init.flags |= INIT_EXT;
    init.flags2 |= DIRECT_IO_ALLOW_MMAP2;
    struct iovec patched[2] = {iov[0], {&init, sizeof init}};
    return writev(fd, patched, 2);
}

static int start_recalls(struct fuse_session *session)
{
    // Signals end the session's loop, so they must reach the thread that runs it.
    sigset_t all, before;
    pthread_t thread;
    recalls.session = session;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run_recalls, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static int serve(struct fuse_session *session)
{
    // Two threads, and idle ones left alone: to end and start them costs more than the requests.
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return -1;
    fuse_loop_cfg_set_max_threads(config, 2);
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return result < 0 ? -1 : 0;
}

static int mount_and_serve(struct fuse_session *session, const char *mountpoint)
{
    static const struct fuse_custom_io io = {.read = receive, .writev = reply};
    int result = -1;
    if (fuse_session_mount(session, mountpoint) != 0)
        return -1;
    if (fuse_session_custom_io(session, &io, fuse_session_fd(session)) == 0 && start_recalls(session) == 0)
        result = serve(session);
    fuse_session_unmount(session);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: %s MOUNTPOINT\n", argv[0]);
        return 2;
    }
    memory = mmap(NULL, DATA_SIZE + TAGS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&args, argv[0]);
    fuse_opt_add_arg(&args, "-ofsname=baseline");
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    fuse_opt_free_args(&args);
    if (!session || fuse_set_signal_handlers(session) != 0)
        return 1;
    int result = mount_and_serve(session, argv[1]);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    return result == 0 ? 0 : 1;
}
