#include "uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map_ring(int fd, size_t length, off_t what) {
    void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    if (address == MAP_FAILED)
        fail_errno("mmap of an io_uring");
    return address;
}

bool uring_open(struct uring *uring, unsigned entries) {
    struct io_uring_params parameters = {0};
    uring->fd = (int)syscall(SYS_io_uring_setup, entries, &parameters);
    if (uring->fd < 0)
        return false;
    // Never unmapped: the rings live as long as the program.
    uint8_t *submit = map_ring(uring->fd, parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
                               IORING_OFF_SQ_RING);
    uint8_t *complete = map_ring(
        uring->fd, parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    uring->submissions = map_ring(uring->fd, parameters.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    uring->entries = parameters.sq_entries;
    uring->submit_tail = (_Atomic unsigned *)(void *)(submit + parameters.sq_off.tail);
    uring->submit_mask = (unsigned *)(void *)(submit + parameters.sq_off.ring_mask);
    uring->submit_array = (unsigned *)(void *)(submit + parameters.sq_off.array);
    uring->complete_head = (_Atomic unsigned *)(void *)(complete + parameters.cq_off.head);
    uring->complete_tail = (_Atomic unsigned *)(void *)(complete + parameters.cq_off.tail);
    uring->complete_mask = (unsigned *)(void *)(complete + parameters.cq_off.ring_mask);
    uring->completions = (struct io_uring_cqe *)(void *)(complete + parameters.cq_off.cqes);
    return true;
}

void uring_run(struct uring *uring, struct uring_request *requests, unsigned count) {
    if (count > uring->entries)
        fail("%u requests for %u entries", count, uring->entries);
    unsigned tail = atomic_load(uring->submit_tail);
    for (unsigned i = 0; i < count; i++) {
        unsigned index = (tail + i) & *uring->submit_mask;
        uring->submissions[index] = (struct io_uring_sqe){
            .opcode = requests[i].write ? IORING_OP_WRITE : IORING_OP_READ,
            .fd = requests[i].fd,
            .addr = (uintptr_t)requests[i].buffer,
            .len = requests[i].length,
            .off = (uint64_t)requests[i].offset,
            .user_data = i,
        };
        uring->submit_array[index] = index;
        requests[i].result = -EINPROGRESS;
    }
    atomic_store(uring->submit_tail, tail + count);
    for (unsigned left = count, submit = count; left > 0;) {
        long entered = syscall(SYS_io_uring_enter, uring->fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        if (entered < 0 && errno == EINTR)
            continue;
        if (entered < 0)
            fail_errno("io_uring_enter");
        submit -= (unsigned)entered;
        unsigned head = atomic_load(uring->complete_head);
        for (; head != atomic_load(uring->complete_tail); head++, left--) {
            const struct io_uring_cqe *completion = &uring->completions[head & *uring->complete_mask];
            requests[completion->user_data].result = completion->res;
        }
        atomic_store(uring->complete_head, head);
    }
}

void uring_close(struct uring *uring) {
    close(uring->fd);
}
