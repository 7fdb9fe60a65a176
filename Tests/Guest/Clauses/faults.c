/// "Tag Check Faults": what an access with another tag than the memory's does in each mode.
#include "clauses.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// Two pages whose data is 'x' and whose tags are 5.
static char *prepare(unsigned long modes) {
    char *memory = map_tagged(2);
    memset(memory, 'x', 2 * page_size);
    enter(modes, nonzero_tags);
    catch_faults(0);
    return set_tags(memory, 2 * page_size, 5);
}

/// Without a mode: accesses are done.
static void check_ignored(char *tagged) {
    for (unsigned tag = 0; tag < tag_count; tag++) {
        expect(load_fault(with_tag(tagged, tag)) == 0);
        expect(store_fault(with_tag(tagged, tag), (uint8_t)tag) == 0 && tagged[0] == (char)tag);
    }
}

static void ignored_by_default(void) {
    char *memory = map_tagged(1);
    catch_faults(0);
    check_ignored(set_tags(memory, page_size, 5));
}

static void ignored(void) {
    check_ignored(prepare(PR_MTE_TCF_NONE));
}

static void synchronous_load(void) {
    char *tagged = prepare(PR_MTE_TCF_SYNC);
    const char *other = with_tag(tagged + 1234, 6);
    expect(load_fault(tagged + 1234) == 0);
    expect(load_fault(other) == SEGV_MTESERR);
    expect(fault.count == 1 && fault.address == ((uintptr_t)other & address_bits));
}

static void synchronous_store(void) {
    char *tagged = prepare(PR_MTE_TCF_SYNC);
    char *other = with_tag(tagged + page_size + 77, 0);
    expect(store_fault(other, 'y') == SEGV_MTESERR);
    expect(fault.count == 1 && fault.address == (uintptr_t)other);
    expect(tagged[page_size + 77] == 'x');
    expect(store_fault(tagged + page_size + 77, 'y') == 0 && tagged[page_size + 77] == 'y');
}

/// All pairs: no pointer's tag matches all. The four bits above are of no account.
static void no_match_all_tag(void) {
    char *memory = map_tagged(1);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    catch_faults(0);
    for (unsigned tag = 0; tag < tag_count; tag++) {
        set_tags(memory, granule_size, tag);
        for (unsigned top = 0; top < 256; top++) {
            const char *pointer = (char *)((uintptr_t)memory | (uintptr_t)top << 56);
            expect(load_fault(pointer) == ((top & 15) == tag ? 0 : SEGV_MTESERR));
        }
    }
}

/// Each granule has a tag of its own, to the byte.
static void granules(void) {
    char *memory = map_tagged(1);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    catch_faults(0);
    set_tags(memory + 32, granule_size, 9);
    for (size_t i = 0; i < 64; i++) {
        bool inside = i >= 32 && i < 48;
        expect(load_fault(memory + i) == (inside ? SEGV_MTESERR : 0));
        expect(load_fault(with_tag(memory + i, 9)) == (inside ? 0 : SEGV_MTESERR));
    }
}

/// An access that is partly in a granule of another tag is not performed, and its fault is in that granule.
static void across_granules(void) {
    char *tagged = prepare(PR_MTE_TCF_SYNC);
    set_tags(tagged + 16, granule_size, 6);
    uint64_t value = 0, known = 0;
    memcpy(&known, "xxxxxxxx", sizeof known);
    expect(load_word_fault(tagged + 8, &value) == 0 && value == known);
    expect(load_word_fault(tagged + 12, &value) == SEGV_MTESERR);
    uintptr_t granule = ((uintptr_t)tagged & address_bits) + granule_size;
    expect(fault.address >= granule && fault.address < granule + 4);
    expect(store_word_fault(tagged + 12, 0) == SEGV_MTESERR);
    expect(memcmp(tagged + 12, "xxxx", 4) == 0 && memcmp(with_tag(tagged + 16, 6), "xxxx", 4) == 0);
}

/// With SA_EXPOSE_TAGBITS the address has the pointer's tag, bits 59:56, else no bit of the top byte.
static void exposed_tag_bits(void) {
    char *tagged = prepare(PR_MTE_TCF_SYNC);
    catch_faults(SA_EXPOSE_TAGBITS);
    for (unsigned tag = 0; tag < tag_count; tag++) {
        const char *pointer = with_tag(tagged + 16 * tag + 3, tag);
        expect(load_fault(pointer) == (tag == 5 ? 0 : SEGV_MTESERR));
        expect(tag == 5 || fault.address == (uintptr_t)pointer);
    }
}

static void load_other(void *tagged) {
    (void)*(volatile char *)with_tag(tagged, 6);
}

static void ignore_and_load(void *tagged) {
    signal(SIGSEGV, SIG_IGN);
    load_other(tagged);
}

static void block_and_load(void *tagged) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    load_other(tagged);
}

/// Whether the child is ended by SIGSEGV with a core dump.
static void expect_core_dump(void (*function)(void *), void *argument) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    expect(setrlimit(RLIMIT_CORE, &limit) == 0);
    int status = status_of_child(function, argument);
    unlink("core");
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && WCOREDUMP(status));
}

static void ended_if_ignored(void) {
    expect_core_dump(ignore_and_load, prepare(PR_MTE_TCF_SYNC));
}

static void ended_if_blocked(void) {
    expect_core_dump(block_and_load, prepare(PR_MTE_TCF_SYNC));
}

static void asynchronous_load(void) {
    char *tagged = prepare(PR_MTE_TCF_ASYNC);
    expect(load_fault(tagged) == 0);
    expect(load_fault(with_tag(tagged + 33, 6)) == SEGV_MTEAERR);
    expect(fault.count == 1 && fault.address == 0);
    catch_faults(SA_EXPOSE_TAGBITS);
    expect(load_fault(with_tag(tagged + 33, 6)) == SEGV_MTEAERR && fault.address == 0);
}

static void asynchronous_store(void) {
    char *tagged = prepare(PR_MTE_TCF_ASYNC);
    expect(store_fault(with_tag(tagged + 33, 6), 'y') == SEGV_MTEAERR);
    expect(fault.count == 1 && fault.address == 0);
    expect(tagged[33] == 'y');
}

/// At least one signal, and all have come after the next system call.
static void asynchronous_faults_add_up(void) {
    char *tagged = prepare(PR_MTE_TCF_ASYNC);
    volatile char *other = with_tag(tagged, 6);
    fault = (struct fault){0};
    for (size_t i = 0; i < 100; i++)
        other[i * granule_size] = 'z';
    syscall(SYS_getpid);
    int count = fault.count;
    expect(count >= 1 && count <= 100 && fault.code == SEGV_MTEAERR);
    for (size_t i = 0; i < 100; i++) {
        syscall(SYS_getpid);
        expect(tagged[i * granule_size] == 'z');
    }
    expect(fault.count == count);
}

static void fault_in_thread(void *tagged) {
    expect(load_fault(with_tag(tagged, 6)) == SEGV_MTEAERR);
    expect(fault.thread == gettid() && fault.thread != getpid());
}

static void asynchronous_in_the_offending_thread(void) {
    in_thread(fault_in_thread, prepare(PR_MTE_TCF_ASYNC));
}

const struct clause fault_clauses[] = {
    {"ignored-by-default", ignored_by_default},
    {"none-ignores", ignored},
    {"sync-load-is-not-performed", synchronous_load},
    {"sync-store-is-not-performed", synchronous_store},
    {"sync-no-match-all-tag", no_match_all_tag},
    {"sync-granules", granules},
    {"sync-across-granules", across_granules},
    {"sync-address-with-tag-bits", exposed_tag_bits},
    {"sync-ignored-ends-the-process", ended_if_ignored},
    {"sync-blocked-ends-the-process", ended_if_blocked},
    {"async-load", asynchronous_load},
    {"async-store", asynchronous_store},
    {"async-faults-add-up", asynchronous_faults_add_up},
    {"async-in-the-offending-thread", asynchronous_in_the_offending_thread},
    {NULL, NULL},
};
