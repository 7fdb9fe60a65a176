/// `together`: processes that touch the same refused page together. Each of them is one line of the fault log.
#include "client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// Pages of the mapping, so that there is something to read ahead, and how far the pages of two rounds are apart.
enum { processes = 8, mapped = 64 * page_size, distance = 64 * page_size, most_bytes = 1 << 20 };

static char text[most_bytes + 1];

/// Waits for the others at the pipe, whose last writer then goes, and touches the page.
static _Noreturn void touch(const char *directory, off_t offset, const int start[2]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(start[1]);
    const uint8_t *map = map_file(open_view(directory, 3, O_RDONLY), offset, mapped, PROT_READ);
    char byte;
    if (read(start[0], &byte, 1) != 0)
        fail("the pipe is not at its end");
    expect_load_fault(map, "a page of another tag");
    _exit(0);
}

/// Adds the lines of the log that are new.
static void read_log(int log) {
    size_t length = strlen(text);
    ssize_t count;
    while ((count = read(log, text + length, most_bytes - length)) > 0)
        length += (size_t)count;
    if (count < 0)
        fail_errno("faults");
    text[length] = 0;
}

static unsigned lines_of(pid_t process, off_t offset) {
    char who[32], where[32];
    snprintf(who, sizeof who, " pid=%d ", process);
    snprintf(where, sizeof where, " offset=%#llx ", (unsigned long long)offset);
    unsigned lines = 0;
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *found_who = strstr(line, who), *found_where = strstr(line, where);
        if (found_who == NULL || found_who > end)
            continue;
        lines++;
        if (found_where == NULL || found_where > end)
            printf("%s is about another page: %.*s\n", who, (int)(end - line), line);
    }
    return lines;
}

int together_main(int count, char **arguments) {
    if (count != 3)
        usage();
    off_t base = parse_offset(arguments[1], page_size);
    unsigned rounds = (unsigned)parse_number(arguments[2]), wrong = 0;
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/phys", arguments[0]);
    int log = open_file(arguments[0], "faults", O_RDONLY);
    read_log(log);
    catch_faults();
    for (unsigned round = 0; round < rounds; round++) {
        step("round %u", round);
        off_t offset = base + (off_t)round * distance;
        pid_t children[processes];
        int start[2];
        if (pipe(start) != 0)
            fail_errno("pipe");
        for (int i = 0; i < processes; i++) {
            children[i] = fork();
            if (children[i] < 0)
                fail_errno("fork");
            if (children[i] == 0)
                touch(directory, offset, start);
        }
        sleep_seconds(0.003);
        close(start[0]);
        close(start[1]);
        for (int i = 0; i < processes; i++) {
            int status;
            if (waitpid(children[i], &status, 0) != children[i] || status != 0)
                fail("a process has ended with status %#x", status);
        }
        text[0] = 0;
        unsigned others = processes;
        // A line may come a moment later.
        for (double end = seconds_now() + 1; others > 0 && seconds_now() < end; sleep_seconds(0.001)) {
            read_log(log);
            others = 0;
            for (int i = 0; i < processes; i++)
                others += lines_of(children[i], offset) == 0;
        }
        for (int i = 0; i < processes; i++) {
            unsigned lines = lines_of(children[i], offset);
            if (lines != 1)
                printf("round %u: pid=%d has %u lines\n", round, children[i], lines);
            wrong += lines != 1;
        }
    }
    if (wrong != 0)
        fail("%u of %u accesses are not one line", wrong, rounds * processes);
    printf("ok together\n");
    return 0;
}
