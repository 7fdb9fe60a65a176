/// `refused`: another program writes through a view while the object turns untagged. What is refused is not in memory.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { written = 64, dirty_at = 2048 };

/// What the two programs know of it, in memory of both.
struct report {
    atomic_ulong writes;
    /// The page of the write that was refused, the value it had, and the one before.
    size_t page;
    uint8_t refused, kept;
};

/// Writes to pages at random, each time another value than the page has, until a write is refused.
static _Noreturn void write_on(int view, size_t pages, struct report *report) {
    static uint8_t values[1 << 16];
    struct random random = {pages};
    for (;; report->writes++) {
        size_t page = random_below(&random, (unsigned)pages);
        uint8_t bytes[written], value = (uint8_t)(values[page] % 250 + 1);
        memset(bytes, value, sizeof bytes);
        ssize_t count = pwrite(view, bytes, sizeof bytes, (off_t)page * page_size);
        if (count < 0) {
            if (errno != EOPNOTSUPP)
                fail_errno("not EOPNOTSUPP");
            report->page = page;
            report->refused = value;
            report->kept = values[page];
            _exit(0);
        }
        if (count != sizeof bytes)
            fail("a write of %zd bytes", count);
        values[page] = value;
    }
}

/// Whether what was refused shows.
static bool shows_refused(const char *mountpoint, size_t megabytes, struct report *report) {
    step("%zu MiB, dirty through a view, turn untagged", megabytes);
    size_t size = megabytes << 20, pages = size / page_size;
    int mem = make_object(mountpoint, "tagged/refused");
    if (ftruncate(mem, (off_t)size) != 0)
        fail_errno("ftruncate");
    char tagged[4096], untagged[4096];
    snprintf(tagged, sizeof tagged, "%s/tagged/refused", mountpoint);
    snprintf(untagged, sizeof untagged, "%s/untagged/refused", mountpoint);
    int view = open_view(tagged, 0, O_RDWR);
    uint8_t *map = map_file(view, 0, size, PROT_READ | PROT_WRITE);
    for (size_t page = 0; page < pages; page++)
        expect_store(map + page * page_size + dirty_at, 0xdd, "dirty");
    memset(report, 0, sizeof *report);
    pid_t child = fork();
    if (child < 0)
        fail_errno("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_on(view, pages, report);
    }
    while (report->writes < 100)
        sleep_seconds(0.001);
    if (rename(tagged, untagged) != 0)
        fail_errno("rename");
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("the writer has ended with status %#x", status);
    uint8_t found[written], expected[written];
    memset(expected, report->kept, sizeof expected);
    read_exactly(mem, found, sizeof found, (off_t)report->page * page_size, "what was refused");
    bool shows = memcmp(found, expected, sizeof found) != 0;
    printf("%zu MiB: writes=%lu refused=%#x kept=%#x found=%#x\n", megabytes, report->writes, report->refused,
           report->kept, found[0]);
    for (size_t page = 0; page < pages; page++) {
        uint8_t value = 0;
        read_exactly(mem, &value, 1, (off_t)(page * page_size + dirty_at), "what was stored");
        if (value != 0xdd)
            fail("what was stored to page %zu is %#x", page, value);
    }
    munmap(map, size);
    close(view);
    close(mem);
    remove_object(mountpoint, "untagged/refused");
    return shows;
}

int refused_main(int count, char **arguments) {
    if (count != 1)
        usage();
    catch_faults();
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        fail_errno("mmap");
    static const size_t sizes[] = {8, 24, 48};
    unsigned shown = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        shown += shows_refused(arguments[0], sizes[i], report);
    if (shown != 0)
        fail("what was refused is in memory %u times", shown);
    printf("ok refused\n");
    return 0;
}
