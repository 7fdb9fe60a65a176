#define _GNU_SOURCE
#include "CFuseProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

void cfuse_fill_standard_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        // The lowest free number is this one: those below are open. The wrong way round: reading or writing is EBADF.
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) _exit(1);
    }
}

void cfuse_keep_freed_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
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

// MARK: The guard

// fusectl's file that ends a connection. While it is open it means this connection, also when the number has been given
// to another one. Returns a descriptor or a negative errno.
static int open_abort_file(unsigned connection) {
    char name[64];
    snprintf(name, sizeof name, "/sys/fs/fuse/connections/%u/abort", connection);
    int file = open(name, O_WRONLY | O_CLOEXEC);
    if (file >= 0 || errno != ENOENT) return file >= 0 ? file : -errno;

    // fusectl is not mounted there. Whoever may mount gets it without a place.
    int context = fsopen("fusectl", FSOPEN_CLOEXEC);
    if (context < 0) return -ENOENT;
    int root = -1;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) root = fsmount(context, FSMOUNT_CLOEXEC, 0);
    close(context);
    if (root < 0) return -ENOENT;
    snprintf(name, sizeof name, "%u/abort", connection);
    file = openat(root, name, O_WRONLY | O_CLOEXEC);
    int error = errno;
    close(root);
    return file >= 0 ? file : -error;
}

static _Noreturn void guard(int abort_file) {
    sigset_t death;
    sigemptyset(&death);
    sigaddset(&death, SIGUSR1);
    int signal;
    while (sigwait(&death, &signal) != 0) {}
    while (write(abort_file, "1", 1) < 0 && errno == EINTR) {}
    _exit(0);
}

int cfuse_start_guard(unsigned connection) {
    int abort_file = open_abort_file(connection);
    if (abort_file < 0) return abort_file;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) {
        int error = errno;
        close(abort_file);
        return child > 0 ? 0 : -error;
    }

    prctl(PR_SET_NAME, "tagmemd-guard");
    setsid(); // the terminal's signals are for the daemon
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (getppid() != parent) raise(SIGUSR1);
    if (chdir("/") != 0) _exit(1);
    // Above all the connection itself: while the guard held it, the daemon's death would not end it.
    if (dup2(abort_file, 0) != 0) _exit(1);
    close_range(1, ~0u, 0);
    guard(0);
}
