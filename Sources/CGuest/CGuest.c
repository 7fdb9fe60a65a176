#define _GNU_SOURCE
#include "CGuest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t program;

static void hand_on(int number) {
    int error = errno;
    kill(program, number);
    errno = error;
}

// The new process, until it is the program. Says why it is not.
static void become(const char *const *arguments, const int *descriptors, int count, bool is_beside, pid_t parent,
                   int report) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) {
        int result = is_beside ? setpgid(0, 0) : 0;
        for (int i = 0; i < count && result == 0; i++) result = fcntl(descriptors[i], F_SETFD, 0);
        if (result == 0) execvp(arguments[0], (char *const *)arguments);
    }
    int error = errno;
    if (write(report, &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

static pid_t start(const char *const *arguments, const int *descriptors, int count, bool is_beside) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    // What arrives before there is a program waits.
    sigset_t handed, before;
    sigemptyset(&handed);
    sigaddset(&handed, SIGTERM);
    sigaddset(&handed, SIGHUP);
    sigaddset(&handed, SIGINT);
    sigaddset(&handed, SIGQUIT);
    sigprocmask(SIG_BLOCK, &handed, &before);
    pid_t parent = getpid(), process = fork();
    if (process == 0) become(arguments, descriptors, count, is_beside, parent, report[1]);
    int error = process < 0 ? errno : 0;
    close(report[1]);
    if (process > 0) {
        int told;
        if (read(report[0], &told, sizeof told) == sizeof told) {
            waitpid(process, NULL, 0);
            error = told;
        } else if (!is_beside) {
            program = process;
            struct sigaction on = {.sa_handler = hand_on, .sa_flags = SA_RESTART}, off = {.sa_handler = SIG_IGN};
            sigaction(SIGTERM, &on, NULL);
            sigaction(SIGHUP, &on, NULL);
            sigaction(SIGINT, &off, NULL);
            sigaction(SIGQUIT, &off, NULL);
        }
    }
    close(report[0]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error != 0 ? -error : process;
}

pid_t cguest_start(const char *const *arguments, const int *descriptors, int count) {
    return start(arguments, descriptors, count, false);
}

pid_t cguest_start_beside(const char *const *arguments) { return start(arguments, NULL, 0, true); }

int cguest_watch(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

bool cguest_has_ended(pid_t process) {
    siginfo_t end = {0};
    return waitid(P_PID, (id_t)process, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid != 0;
}

int cguest_wait(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

void cguest_end_like(int status) {
    if (!WIFSIGNALED(status)) _exit(WEXITSTATUS(status));
    // The program has left a core if there was to be one.
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

bool cguest_is_in_fuse(int file) {
    enum { FUSE_MAGIC = 0x65735546 };
    struct statfs system;
    return fstatfs(file, &system) == 0 && system.f_type == FUSE_MAGIC;
}

int cguest_memory_file(const char *name) {
    int file = memfd_create(name, MFD_CLOEXEC);
    return file >= 0 ? file : -errno;
}
