/// The modes: how they are set and read, how a processor's preferred one is chosen, and PSTATE.TCO.
#include "clauses.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const unsigned long both = PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC;

static char *prepare(void) {
    char *memory = map_tagged(1);
    catch_faults(0);
    return set_tags(memory, page_size, 5);
}

static void expect_state(unsigned long modes, unsigned long included) {
    long state = prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
    unsigned long expected = PR_TAGGED_ADDR_ENABLE | modes | included << PR_MTE_TAG_SHIFT;
    if (state != (long)expected)
        fail("the state is %#lx, not %#lx", (unsigned long)state, expected);
}

/// All modes that were requested are reported.
static void reported(void) {
    static const unsigned long masks[] = {0, 1, nonzero_tags, all_tags, 0xa5a5};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        for (unsigned long modes = 0; modes <= both; modes += PR_MTE_TCF_SYNC) {
            enter(modes | PR_MTE_TCF_NONE, masks[i]);
            expect_state(modes, masks[i]);
        }
    }
}

static void refused(void) {
    enter(PR_MTE_TCF_SYNC, 0x1234);
    expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | 1UL << 40, 0, 0, 0), EINVAL);
    expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 1, 0, 0), EINVAL);
    expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 1), EINVAL);
    expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), EINVAL);
    expect_state(PR_MTE_TCF_SYNC, 0x1234);
}

static void in_other_thread(void *tagged) {
    expect_state(PR_MTE_TCF_SYNC, nonzero_tags);
    expect(load_fault(with_tag(tagged, 6)) == SEGV_MTESERR);
    enter(PR_MTE_TCF_NONE, 0x10);
    expect(load_fault(with_tag(tagged, 6)) == 0);
}

/// A thread starts with the mode of the one that made it, and changes its own alone.
static void per_thread(void) {
    char *tagged = prepare();
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    in_thread(in_other_thread, tagged);
    expect_state(PR_MTE_TCF_SYNC, nonzero_tags);
    expect(load_fault(with_tag(tagged, 6)) == SEGV_MTESERR);
}

// MARK: Preferred modes

#ifdef __aarch64__

/// Calls with the file of each processor.
static void each_processor(void (*function)(int fd, const char *argument), const char *argument) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < processors; i++) {
        char path[80];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%ld/mte_tcf_preferred", i);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            fail_errno("%s", path);
        function(fd, argument);
        close(fd);
    }
}

static void expect_preferred(int fd, const char *mode) {
    char line[16] = "";
    expect(pread(fd, line, sizeof line - 1, 0) == (ssize_t)strlen(mode) + 1);
    expect(strncmp(line, mode, strlen(mode)) == 0 && line[strlen(mode)] == '\n');
}

static void write_preferred(int fd, const char *mode) {
    if (write(fd, mode, strlen(mode)) != (ssize_t)strlen(mode))
        fail_errno("%s is not to be preferred", mode);
    expect_preferred(fd, mode);
}

static void refuse_preferred(int fd, const char *mode) {
    expect_errno(write(fd, mode, strlen(mode)), EINVAL);
}

#else

/// There are no files, but functions of the library.
static void each_processor(void (*function)(int fd, const char *argument), const char *argument) {
    function(-1, argument);
}

static unsigned mode_of(const char *mode) {
    return strcmp(mode, "sync") == 0    ? TAGMEM_MODE_SYNC
           : strcmp(mode, "async") == 0 ? TAGMEM_MODE_ASYNC
           : strcmp(mode, "asymm") == 0 ? TAGMEM_MODE_ASYMM
                                        : TAGMEM_MODE_NONE;
}

static void expect_preferred(int fd, const char *mode) {
    (void)fd;
    expect(tagmem_preferred_mode() == mode_of(mode));
}

static void write_preferred(int fd, const char *mode) {
    expect(tagmem_set_preferred_mode(mode_of(mode)) == 0);
    expect_preferred(fd, mode);
}

static void refuse_preferred(int fd, const char *mode) {
    (void)fd;
    expect_errno(tagmem_set_preferred_mode(mode_of(mode)), EINVAL);
}

#endif

static void preferred_by_default(void) {
    each_processor(expect_preferred, "async");
}

static void not_preferred(void) {
    each_processor(refuse_preferred, "none");
    each_processor(expect_preferred, "async");
}

/// What a load and a store do with these modes requested, where all processors prefer `mode`. They prefer async again.
static void check_preferred(const char *mode, unsigned long modes, int load, int store) {
    char *tagged = prepare(), *other = with_tag(tagged, 6);
    each_processor(write_preferred, mode);
    enter(PR_MTE_TCF_NONE, nonzero_tags);
    enter(modes, nonzero_tags);
    int loaded = load_fault(other), stored = store_fault(other, 'y');
    enter(PR_MTE_TCF_NONE, nonzero_tags);
    each_processor(write_preferred, "async");
    if (loaded != load || stored != store)
        fail("load %d, store %d", loaded, stored);
    expect(tagged[0] == (store == SEGV_MTESERR ? 0 : 'y'));
}

static void prefers_sync(void) {
    check_preferred("sync", both, SEGV_MTESERR, SEGV_MTESERR);
}

static void prefers_async(void) {
    check_preferred("async", both, SEGV_MTEAERR, SEGV_MTEAERR);
}

/// Reads as synchronous, writes as asynchronous: the write is done.
static void prefers_asymmetric(void) {
    check_preferred("asymm", both, SEGV_MTESERR, SEGV_MTEAERR);
}

/// A mode that was requested alone is the one that is used.
static void preferred_is_ignored(void) {
    static const char *const modes[] = {"async", "asymm", "sync"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        check_preferred(modes[i], PR_MTE_TCF_SYNC, SEGV_MTESERR, SEGV_MTESERR);
        check_preferred(modes[i], PR_MTE_TCF_ASYNC, SEGV_MTEAERR, SEGV_MTEAERR);
        check_preferred(modes[i], PR_MTE_TCF_NONE, 0, 0);
    }
}

// MARK: PSTATE.TCO

static void tag_check_override(void) {
    char *tagged = prepare(), *other = with_tag(tagged, 6);
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    expect(!tco());
    set_tco(true);
    expect(tco());
    expect(load_fault(other) == 0 && store_fault(other, 'y') == 0);
    set_tco(false);
    expect(load_fault(other) == SEGV_MTESERR);
}

static volatile int handler_tco = -1;

static void note_tco(int signal) {
    (void)signal;
    handler_tco = tco();
}

static void note_tco_and_set(int signal) {
    note_tco(signal);
    set_tco(true);
}

static void tco_in_handlers(void) {
    prepare();
    enter(PR_MTE_TCF_SYNC, nonzero_tags);
    signal(SIGUSR1, note_tco);
    set_tco(true);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    bool restored = tco();
    set_tco(false);
    expect(handler_tco == 0 && restored);
    signal(SIGUSR1, note_tco_and_set);
    handler_tco = -1;
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    expect(handler_tco == 0 && !tco());
}

const struct clause mode_clauses[] = {
    {"modes-are-reported", reported},
    {"modes-refused", refused},
    {"modes-are-a-thread's", per_thread},
    {"preferred-is-async-by-default", preferred_by_default},
    {"preferred-refuses-others", not_preferred},
    {"preferred-sync", prefers_sync},
    {"preferred-async", prefers_async},
    {"preferred-asymm", prefers_asymmetric},
    {"preferred-ignored-for-one-mode", preferred_is_ignored},
    {"tco-disables-checks", tag_check_override},
    {"tco-in-signal-handlers", tco_in_handlers},
    {NULL, NULL},
};
