/// System calls that are given tagged pointers: whether the kernel accepts and checks them.
#include "clauses.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { length = 64 };

struct test {
    char *tagged, *other;
    int file;
};

/// A tagged page of 'x', and a file of as many 'f'.
static struct test prepare(unsigned long modes) {
    struct test test;
    char *memory = map_tagged(1);
    memset(memory, 'f', page_size);
    test.file = file_on("tmpfs", page_size);
    expect(pwrite(test.file, memory, page_size, 0) == page_size);
    memset(memory, 'x', page_size);
    catch_faults(0);
    enter(modes, nonzero_tags);
    test.tagged = set_tags(memory, page_size, 5);
    test.other = with_tag(memory, 6);
    fault = (struct fault){0};
    return test;
}

static bool is_filled(const char *bytes, char with) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != with)
            return false;
    }
    return true;
}

static bool file_is(const struct test *test, char with) {
    char bytes[length];
    return pread(test->file, bytes, length, 0) == length && is_filled(bytes, with);
}

/// Without the tagged address ABI all tagged pointers are refused.
static void without_abi(void) {
    struct test test = prepare(PR_MTE_TCF_NONE);
    expect(prctl(PR_SET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) == 0);
    expect_errno(pread(test.file, test.tagged, length, 0), EFAULT);
    expect_errno(pwrite(test.file, test.tagged, length, 0), EFAULT);
    expect(is_filled(test.tagged, 'x') && file_is(&test, 'f'));
}

static void check_accepted(const struct test *test, char *pointer) {
    expect(pread(test->file, pointer, length, 0) == length && is_filled(test->tagged, 'f'));
    memset(test->tagged, 'y', length);
    expect(pwrite(test->file, pointer, length, 0) == length && file_is(test, 'y'));
    syscall(SYS_getpid);
    expect(fault.count == 0);
}

static void check_refused(const struct test *test) {
    expect_errno(pread(test->file, test->other, length, 0), EFAULT);
    expect_errno(pwrite(test->file, test->other, length, 0), EFAULT);
    struct iovec vector = {test->other, length};
    expect_errno(preadv(test->file, &vector, 1, 0), EFAULT);
    expect_errno(pwritev(test->file, &vector, 1, 0), EFAULT);
    expect(fault.count == 0);
}

static void matching(void) {
    struct test test = prepare(PR_MTE_TCF_SYNC);
    check_accepted(&test, test.tagged);
}

static void unchecked(void) {
    struct test test = prepare(PR_MTE_TCF_NONE);
    check_accepted(&test, test.other);
}

static void unchecked_asynchronous(void) {
    struct test test = prepare(PR_MTE_TCF_ASYNC);
    check_accepted(&test, test.other);
}

/// Refused without a signal, and nothing is done.
static void refused(void) {
    struct test test = prepare(PR_MTE_TCF_SYNC);
    check_refused(&test);
    expect(is_filled(test.tagged, 'x') && file_is(&test, 'f'));
}

/// The kernel checks although the program does not.
static void refused_with_tco(void) {
    struct test test = prepare(PR_MTE_TCF_SYNC);
    set_tco(true);
    check_refused(&test);
    set_tco(false);
    expect(is_filled(test.tagged, 'x') && file_is(&test, 'f'));
}

/// Up to a granule of another tag at most; nothing of it and behind it is read or written.
static void partly(void) {
    struct test test = prepare(PR_MTE_TCF_SYNC);
    for (size_t good = granule_size; good < length; good += granule_size) {
        set_tags(test.tagged, page_size, 5);
        memset(test.tagged, 'x', page_size);
        set_tags(test.tagged + good, page_size - good, 6);
        ssize_t count = pread(test.file, test.tagged, length, 0);
        expect(count <= (ssize_t)good && (count > 0 || (count == -1 && errno == EFAULT)));
        for (size_t i = good; i < length; i++)
            expect(test.other[i] == 'x');
        for (ssize_t i = 0; i < count; i++)
            expect(test.tagged[i] == 'f');

        int ends[2];
        expect(pipe(ends) == 0);
        count = write(ends[1], test.tagged, length);
        expect(count <= (ssize_t)good && (count > 0 || (count == -1 && errno == EFAULT)));
        close(ends[1]);
        char bytes[length];
        expect(read(ends[0], bytes, length) == (count < 0 ? 0 : count));
        close(ends[0]);
    }
    expect(fault.count == 0);
}

const struct clause syscall_clauses[] = {
    {"syscall-refused-without-tagged-addresses", without_abi},
    {"syscall-of-matching-pointer", matching},
    {"syscall-unchecked-in-none", unchecked},
    {"syscall-unchecked-in-async", unchecked_asynchronous},
    {"syscall-efault-in-sync", refused},
    {"syscall-efault-in-sync-with-tco", refused_with_tco},
    {"syscall-ends-at-the-granule", partly},
    {NULL, NULL},
};
