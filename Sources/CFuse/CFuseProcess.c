#define _GNU_SOURCE
#include "CFuseProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int cfuse_background(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        close(ends[0]);
        setsid();
        return ends[1];
    }
    close(ends[1]);
    char ready = 0;
    ssize_t count;
    do count = read(ends[0], &ready, 1);
    while (count < 0 && errno == EINTR);
    if (count == 1) _exit(0);
    int status = 0;
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 0)
        _exit(WEXITSTATUS(status));
    _exit(1);
}

void cfuse_background_ready(int descriptor) {
    if (chdir("/") != 0) perror("tagmemd: /"); // keep no directory of the user's busy
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
        if (null > 2) close(null);
    }
    char ready = 1;
    while (write(descriptor, &ready, 1) < 0 && errno == EINTR) {}
    close(descriptor);
}

void cfuse_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

bool cfuse_semaphore_wait(sem_t *semaphore, long nanoseconds) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += nanoseconds / 1000000000;
    end.tv_nsec += nanoseconds % 1000000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    int result;
    do result = sem_clockwait(semaphore, CLOCK_MONOTONIC, &end);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

static _Noreturn void guard(const char *mountpoint, int abort_file) {
    sigset_t death;
    sigemptyset(&death);
    sigaddset(&death, SIGUSR1);
    int signal;
    while (sigwait(&death, &signal) != 0) {}
    if (abort_file >= 0) {
        if (write(abort_file, "1", 1) == 1) _exit(0);
    } else {
        umount2(mountpoint, MNT_FORCE); // without /sys/fs/fuse/connections; needs privilege
    }
    _exit(0);
}

int cfuse_start_guard(const char *mountpoint, unsigned connection) {
    char path[64];
    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", connection);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child > 0) return 0;

    prctl(PR_SET_NAME, "tagmemd-guard");
    setsid(); // the terminal's signals are for the daemon
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (chdir("/") != 0) _exit(1);
    int abort_file = open(path, O_WRONLY | O_CLOEXEC);
    int keep = abort_file;
    if (keep >= 0 && keep != 3) {
        keep = dup2(abort_file, 3);
    }
    // Above all the connection itself: while the guard held it, the daemon's death would not end it.
    close_range(keep >= 0 ? 4 : 3, ~0u, 0);
    for (int fd = 0; fd <= 2; fd++) close(fd);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (getppid() != parent) raise(SIGUSR1);
    guard(mountpoint, keep);
}
