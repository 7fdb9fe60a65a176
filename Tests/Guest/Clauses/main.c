/// Checks that the machine and its kernel do what Linux's documentation of MTE says.
///
/// Prints `ok NAME` for each clause, and at the end how many hold; the exit status is 0 if all do.
#include "clauses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/// Seconds for one clause.
enum { most_seconds = 60 };

static const struct clause *const groups[] = {
    mapping_clauses, fault_clauses, mode_clauses, syscall_clauses, tag_clauses, process_clauses,
#ifdef __aarch64__
    ptrace_clauses,  core_clauses,
#endif
};

static bool holds(const struct clause *clause) {
    pid_t child = fork();
    if (child == 0) {
        alarm(most_seconds);
        clause->check();
        exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        fail_errno("no process for %s", clause->name);
    if (status == 0)
        printf("ok %s\n", clause->name);
    else if (WIFSIGNALED(status))
        printf("not ok %s: signal %d\n", clause->name, WTERMSIG(status));
    else
        printf("not ok %s\n", clause->name);
    return status == 0;
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 2 && strcmp(arguments[1], "--initial-state") == 0)
        return print_initial_state();
    unsigned total = 0, good = 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        for (const struct clause *clause = groups[i]; clause->name != NULL; clause++) {
            bool chosen = count < 2;
            for (int j = 1; j < count; j++)
                chosen |= strcmp(arguments[j], clause->name) == 0;
            if (!chosen)
                continue;
            total++;
            good += holds(clause);
        }
    }
    printf("%u of %u clauses\n", good, total);
    return good == total && total > 0 ? 0 : 1;
}
