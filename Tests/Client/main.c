#include "client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// What a sub-command is called with and how long it may take.
///
/// A supervised one runs in a child process, so that one that hangs in the kernel, where no signal ends it, is
/// still reported. `touch`, `access` and `script` make their accesses in the process that the caller started, so that
/// its pid and the signal that ends it are the caller's to see; `stress` has its own watchdog.
struct command {
    const char *name;
    const char *arguments;
    int (*run)(int count, char **arguments);
    unsigned seconds;
    bool supervised;
    /// Which argument is a number of seconds that it may take in addition, or 0.
    int duration;
};

static const struct command commands[] = {
    {"touch", "FILE OFFSET load|store [shared|private] [die]", touch_main, 30, false},
    {"access", "FILE OFFSET read|write LENGTH [BYTE]", access_main, 30, false},
    {"script", "< LINES", script_main, 120, false},
    {"revoke", "DIR BASE", revoke_main, 60, true},
    {"readahead", "DIR BASE", readahead_main, 60, true},
    {"vectors", "DIR BASE", vectors_main, 60, true},
    {"aio", "DIR BASE [THREADS [SECONDS]]", aio_main, 120, true},
    {"fds", "FILE [COUNT [OFFSET]]", fds_main, 60, true},
    {"interrupt", "FILE...", interrupt_main, 60, true},
    {"scattered", "MOUNTPOINT PAGES", scattered_main, 30, true},
    {"storm", "MOUNTPOINT SECONDS", storm_main, 20, true, 1},
    {"shrink", "MOUNTPOINT SECONDS", shrink_main, 20, true, 1},
    {"behind", "MOUNTPOINT [--page-cache]", behind_main, 20, true},
    {"rivals", "MOUNTPOINT ROUNDS", rivals_main, 60, true},
    {"tagstores", "MOUNTPOINT SECONDS", tagstores_main, 20, true, 1},
    {"always", "MOUNTPOINT SECONDS", always_main, 20, true, 1},
    {"together", "MOUNTPOINT BASE ROUNDS", together_main, 60, true},
    {"crowd", "MOUNTPOINT SECONDS READERS WAITERS MILLISECONDS", crowd_main, 60, true},
    {"holds", "MOUNTPOINT MEGABYTES MILLISECONDS", holds_main, 100, true},
    {"stuck", "MOUNTPOINT", stuck_main, 60, true},
    {"refused", "MOUNTPOINT", refused_main, 60, true},
    {"handed", "MOUNTPOINT", handed_main, 20, true},
    {"mapother", "", mapother_main, 60, false},
    {"stress",
     "DIR BASE PAGES SECONDS SEED [--processes P] [--threads T] [--kill] [--mode none|sync|async|asymm] "
     "[--tag-memory OFFSET|none] [--page-cache] [--plain] [--lose N]",
     stress_main, 0, false},
    {"objects", "MOUNTPOINT SECONDS SEED [--processes P] [--threads T] [--objects N] [--kill] [--lose N]", objects_main, 0,
     false},
};

static const struct command *running;

void usage(void) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (running == NULL || running == &commands[i])
            fprintf(stderr, "usage: tagmem-client %s %s\n", commands[i].name, commands[i].arguments);
    exit(status_usage);
}

static int supervise(int count, char **arguments) {
    current_step = mmap(NULL, step_capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (current_step == MAP_FAILED)
        return status_failed;
    strcpy(current_step, "start");
    fflush(NULL);
    unsigned seconds = running->seconds;
    if (running->duration != 0 && count > running->duration)
        seconds += (unsigned)parse_number(arguments[running->duration]);
    pid_t child = fork();
    if (child < 0)
        fail_errno("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(seconds + 5);
        exit(running->run(count, arguments));
    }
    double limit = seconds_now() + seconds;
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (seconds_now() > limit) {
            printf("hang: %s in %s\n", running->name, current_step);
            print_wait(child, child);
            fflush(stdout);
            kill(child, SIGKILL);
            _exit(status_hang);
        }
        sleep_seconds(0.005);
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    printf("FAIL in %s: killed by SIG%s\n", current_step, sigabbrev_np(WTERMSIG(status)));
    return status_failed;
}

int main(int count, char **arguments) {
    // What was said before a failure is not lost.
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; count >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(arguments[1], commands[i].name) == 0)
            running = &commands[i];
    if (running == NULL)
        usage();
    if (running->supervised)
        return supervise(count - 2, arguments + 2);
    alarm(running->seconds);
    return running->run(count - 2, arguments + 2);
}
