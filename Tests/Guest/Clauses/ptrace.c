/// "The ptrace() interface": the tags and the modes of a process that is traced.
#include "clauses.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { tags_of_page = granules_per_page };

/// A child that has stopped to be traced. Its memory: a page of plain memory, two with PROT_MTE, and a hole. The granules
/// of the first tagged page have the tags 0 to 15 in turn, those of the second 7.
struct tracee {
    pid_t process;
    char *plain, *tagged, *hole;
};

static void stop(const struct tracee *tracee) {
    (void)tracee;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
}

/// Starts the child: it stops, goes on to `then`, and stops again.
static struct tracee start(void (*then)(const struct tracee *)) {
    struct tracee tracee;
    tracee.plain = map(4 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    tracee.tagged = tracee.plain + page_size;
    tracee.hole = tracee.plain + 3 * page_size;
    expect(mprotect(tracee.tagged, 2 * page_size, PROT_READ | PROT_WRITE | PROT_MTE) == 0);
    expect(munmap(tracee.hole, page_size) == 0);
    for (unsigned i = 0; i < tags_of_page; i++)
        set_tags(tracee.tagged + i * granule_size, granule_size, i % tag_count);
    set_tags(tracee.tagged + page_size, page_size, 7);
    tracee.process = fork();
    if (tracee.process == 0) {
        stop(&tracee);
        if (then != NULL)
            then(&tracee);
        _exit(0);
    }
    int status;
    expect(tracee.process > 0 && waitpid(tracee.process, &status, 0) == tracee.process);
    expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    ptrace(PTRACE_SETOPTIONS, tracee.process, NULL, PTRACE_O_EXITKILL);
    return tracee;
}

/// The tracee goes on, gets its signals, and ends well.
static void finish(const struct tracee *tracee) {
    int status = 0;
    do {
        long signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
        expect(ptrace(PTRACE_CONT, tracee->process, NULL, signal) == 0);
        expect(waitpid(tracee->process, &status, 0) == tracee->process);
    } while (WIFSTOPPED(status));
    expect(status == 0);
}

static long transfer(int request, const struct tracee *tracee, const void *address, struct iovec *vector) {
    return ptrace(request, tracee->process, (void *)(uintptr_t)address, vector);
}

static void peek(void) {
    struct tracee tracee = start(NULL);
    uint8_t tags[2 * tags_of_page];
    struct iovec vector = {tags, sizeof tags};
    expect(transfer(PTRACE_PEEKMTETAGS, &tracee, tracee.tagged, &vector) == 0 && vector.iov_len == sizeof tags);
    for (unsigned i = 0; i < sizeof tags; i++)
        expect(tags[i] == (i < tags_of_page ? i % tag_count : 7));
    finish(&tracee);
}

/// An address inside a granule is that of the granule.
static void peek_inside_granule(void) {
    struct tracee tracee = start(NULL);
    for (unsigned i = 0; i < granule_size; i++) {
        uint8_t tags[3] = {0};
        struct iovec vector = {tags, sizeof tags};
        expect(transfer(PTRACE_PEEKMTETAGS, &tracee, tracee.tagged + 5 * granule_size + i, &vector) == 0);
        expect(vector.iov_len == 3 && tags[0] == 5 && tags[1] == 6 && tags[2] == 7);
    }
    finish(&tracee);
}

static void expect_poked(const struct tracee *tracee) {
    expect_tags(tracee->tagged, 10 * granule_size, 3);
    for (unsigned i = 10; i < tags_of_page; i++)
        expect(memory_tag(tracee->tagged + i * granule_size) == i % tag_count);
}

/// Of each byte the low four bits count.
static void poke(void) {
    struct tracee tracee = start(expect_poked);
    uint8_t tags[10];
    memset(tags, 0xf3, sizeof tags);
    struct iovec vector = {tags, sizeof tags};
    expect(transfer(PTRACE_POKEMTETAGS, &tracee, tracee.tagged, &vector) == 0 && vector.iov_len == sizeof tags);
    finish(&tracee);
    expect(memory_tag(tracee.tagged) == 0 && memory_tag(tracee.tagged + granule_size) == 1);
}

/// As many as there are up to a hole, or to memory without tags.
static void partly(void) {
    struct tracee tracee = start(NULL);
    uint8_t tags[tags_of_page];
    static const int requests[] = {PTRACE_PEEKMTETAGS, PTRACE_POKEMTETAGS};
    for (size_t i = 0; i < 2; i++) {
        memset(tags, 7, sizeof tags);
        struct iovec vector = {tags, sizeof tags};
        const char *last = tracee.hole - 20 * granule_size;
        expect(transfer(requests[i], &tracee, last, &vector) == 0 && vector.iov_len == 20);
    }
    finish(&tracee);
}

static void not_tagged(void) {
    struct tracee tracee = start(NULL);
    uint8_t tags[4] = {1, 2, 3, 4};
    const char *const addresses[] = {tracee.plain, tracee.hole, (char *)(1UL << 60), NULL};
    static const int requests[] = {PTRACE_PEEKMTETAGS, PTRACE_POKEMTETAGS};
    for (size_t i = 0; i < 8; i++) {
        struct iovec vector = {tags, sizeof tags};
        expect_errno(transfer(requests[i % 2], &tracee, addresses[i / 2], &vector), EIO);
        expect(vector.iov_len == sizeof tags);
    }
    expect(tags[0] == 1 && tags[3] == 4);
    finish(&tracee);
}

static void bad_buffers(void) {
    struct tracee tracee = start(NULL);
    static const int requests[] = {PTRACE_PEEKMTETAGS, PTRACE_POKEMTETAGS};
    for (size_t i = 0; i < 2; i++) {
        struct iovec vector = {tracee.hole, 4};
        expect_errno(transfer(requests[i], &tracee, tracee.tagged, &vector), EFAULT);
        expect(vector.iov_len == 4);
        expect_errno(transfer(requests[i], &tracee, tracee.tagged, (void *)tracee.hole), EFAULT);
    }
    // The tracer's buffer ends at a hole.
    struct iovec vector = {tracee.hole - 6, 20};
    char *own = with_tag(tracee.hole - 6, 0);
    vector.iov_base = own;
    expect(transfer(PTRACE_PEEKMTETAGS, &tracee, tracee.tagged, &vector) == 0 && vector.iov_len == 6);
    expect(memcmp(own, "\0\1\2\3\4\5", 6) == 0);
    finish(&tracee);
}

static void not_permitted(void *unused) {
    (void)unused;
    // A tracee of the same user that may not be dumped.
    expect(setresuid(1000, 1000, 1000) == 0);
    expect(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    struct tracee tracee;
    tracee.tagged = map_tagged(1);
    tracee.process = fork();
    if (tracee.process == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    expect(waitpid(tracee.process, &status, 0) == tracee.process && WIFSTOPPED(status));
    uint8_t tags[4] = {0};
    struct iovec vector = {tags, sizeof tags};
    expect_errno(transfer(PTRACE_PEEKMTETAGS, &tracee, tracee.tagged, &vector), EPERM);
    expect_errno(transfer(PTRACE_POKEMTETAGS, &tracee, tracee.tagged, &vector), EPERM);
    expect(vector.iov_len == sizeof tags);
    finish(&tracee);
}

static void permission(void) {
    in_child(not_permitted, NULL);
}

/// Through a mapping that the tracee may only read tags are set in a copy of its own.
static void poke_read_only(void) {
    struct tracee tracee;
    tracee.tagged = map_tagged(1);
    set_tags(tracee.tagged, page_size, 2);
    expect(mprotect(tracee.tagged, page_size, PROT_READ) == 0);
    tracee.process = fork();
    if (tracee.process == 0) {
        stop(&tracee);
        _exit(memory_tag(tracee.tagged) == 11 && memory_tag(tracee.tagged + granule_size) == 2 ? 0 : 1);
    }
    int status;
    expect(waitpid(tracee.process, &status, 0) == tracee.process && WIFSTOPPED(status));
    uint8_t tag = 11;
    struct iovec vector = {&tag, 1};
    expect(transfer(PTRACE_POKEMTETAGS, &tracee, tracee.tagged, &vector) == 0 && vector.iov_len == 1);
    finish(&tracee);
    expect_tags(tracee.tagged, page_size, 2);
}

// MARK: NT_ARM_TAGGED_ADDR_CTRL

static const unsigned long first_state = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_ASYNC | 0x1110UL << PR_MTE_TAG_SHIFT;
static const unsigned long second_state = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0x8000UL << PR_MTE_TAG_SHIFT;

static void expect_second_state(const struct tracee *tracee) {
    expect(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) == (long)second_state);
    expect(pointer_tag(insert_random_tag(tracee->tagged, 0)) == 15);
    catch_faults(0);
    expect(load_fault(with_tag(tracee->tagged, 1)) == SEGV_MTESERR);
}

static void register_set(void) {
    expect(prctl(PR_SET_TAGGED_ADDR_CTRL, first_state, 0, 0, 0) == 0);
    struct tracee tracee = start(expect_second_state);
    void *const set = (void *)NT_ARM_TAGGED_ADDR_CTRL;
    uint64_t state[2] = {0};
    struct iovec vector = {state, sizeof state};
    expect(ptrace(PTRACE_GETREGSET, tracee.process, set, &vector) == 0);
    expect(vector.iov_len == 8 && state[0] == first_state);
    state[0] = second_state;
    expect(ptrace(PTRACE_SETREGSET, tracee.process, set, &vector) == 0);
    state[0] = PR_TAGGED_ADDR_ENABLE | 1UL << 40;
    expect_errno(ptrace(PTRACE_SETREGSET, tracee.process, set, &vector), EINVAL);
    expect(ptrace(PTRACE_GETREGSET, tracee.process, set, &vector) == 0 && state[0] == second_state);
    finish(&tracee);
    expect(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) == (long)first_state);
}

const struct clause ptrace_clauses[] = {
    {"ptrace-peek", peek},
    {"ptrace-peek-inside-a-granule", peek_inside_granule},
    {"ptrace-poke", poke},
    {"ptrace-poke-read-only", poke_read_only},
    {"ptrace-partly", partly},
    {"ptrace-eio-without-tags", not_tagged},
    {"ptrace-efault-of-buffers", bad_buffers},
    {"ptrace-eperm", permission},
    {"ptrace-tagged-address-control", register_set},
    {NULL, NULL},
};
