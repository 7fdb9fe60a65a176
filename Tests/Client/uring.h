/// As much of io_uring as a test needs, by its system calls.
#ifndef TAGMEM_URING_H
#define TAGMEM_URING_H

#include "client.h"

struct uring {
    int fd;
    unsigned entries;
    _Atomic unsigned *submit_tail, *complete_head, *complete_tail;
    unsigned *submit_mask, *submit_array, *complete_mask;
    struct io_uring_sqe *submissions;
    struct io_uring_cqe *completions;
};

/// One read or write; `result` is as the system call's, a negative errno for an error.
struct uring_request {
    bool write;
    int fd;
    void *buffer;
    unsigned length;
    off_t offset;
    int result;
};

/// Fails with errno set if the kernel refuses.
bool uring_open(struct uring *uring, unsigned entries);
/// Submits all requests at once and waits for all of them.
void uring_run(struct uring *uring, struct uring_request *requests, unsigned count);
void uring_close(struct uring *uring);

#endif
