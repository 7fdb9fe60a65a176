/// `fds` and `interrupt`: many descriptors, and reads that are given up.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

int fds_main(int count, char **arguments) {
    if (count < 1 || count > 3)
        usage();
    size_t wanted = count > 1 ? parse_number(arguments[1]) : 4000;
    off_t offset = count > 2 ? parse_offset(arguments[2], 1) : 0;
    struct rlimit limit;
    step("raising RLIMIT_NOFILE to %zu", wanted + 64);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail_errno("getrlimit");
    if (limit.rlim_cur < wanted + 64) {
        limit.rlim_cur = wanted + 64;
        if (limit.rlim_max < limit.rlim_cur)
            limit.rlim_max = limit.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            fail_errno("setrlimit");
    }
    int *fds = calloc(wanted, sizeof *fds);
    if (fds == NULL)
        fail("no memory");
    for (size_t i = 0; i < wanted; i++) {
        step("open %zu", i);
        fds[i] = open(arguments[0], O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0)
            fail_errno("open %s", arguments[0]);
    }
    for (size_t i = 0; i < wanted; i++) {
        char byte;
        step("read through descriptor %zu", i);
        if (pread(fds[i], &byte, 1, offset) != 1)
            fail_errno("read of %s at %#llx", arguments[0], (unsigned long long)offset);
    }
    for (size_t i = 0; i < wanted; i++) {
        step("close %zu", i);
        if (close(fds[i]) != 0)
            fail_errno("close");
    }
    free(fds);
    printf("ok fds=%zu\n", wanted);
    return 0;
}

static void ignore_signal(int number) {
    (void)number;
}

/// Takes out what is there already, so that the next read blocks.
static void drain(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char buffer[4096];
    if (fd < 0)
        fail_errno("open %s", path);
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) {
    }
    if (length < 0 && errno != EAGAIN)
        fail_errno("non-blocking read of %s: not EAGAIN", path);
    if (length == 0)
        fail("non-blocking read of %s: end of file, not EAGAIN", path);
    close(fd);
}

/// A blocking read that a signal must end with EINTR, soon after `at`.
static void expect_interrupt(int fd, double at, const char *what) {
    char buffer[4096];
    ssize_t length = read(fd, buffer, sizeof buffer);
    double late = seconds_now() - at;
    if (length >= 0)
        fail("%s: the read returned %zd", what, length);
    if (errno != EINTR)
        fail_errno("%s: not EINTR", what);
    if (late < -0.05)
        fail("%s: EINTR before the signal", what);
    if (late > 1)
        fail("%s: EINTR came %.2f s after the signal", what, late);
}

struct sender {
    pthread_t target;
    double at;
};

static void *send_signal(void *argument) {
    struct sender *sender = argument;
    sleep_seconds(sender->at - seconds_now());
    pthread_kill(sender->target, SIGUSR1);
    return NULL;
}

static void kill_reader(int fd) {
    pid_t child = fork();
    if (child < 0)
        fail_errno("fork");
    if (child == 0) {
        char byte;
        if (read(fd, &byte, 1) < 0)
            _exit(1);
        _exit(0);
    }
    sleep_seconds(0.2);
    int status;
    if (waitpid(child, &status, WNOHANG) != 0)
        fail("the child's read did not block");
    kill(child, SIGKILL);
    double killed = seconds_now();
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (seconds_now() - killed > 1)
            fail("SIGKILL did not end a blocked reader within a second");
        sleep_seconds(0.002);
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail("the child ended with status %#x, not by SIGKILL", status);
}

int interrupt_main(int count, char **arguments) {
    if (count < 1)
        usage();
    // No SA_RESTART.
    struct sigaction action = {.sa_handler = ignore_signal};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < count; i++) {
        step("%s: draining", arguments[i]);
        drain(arguments[i]);
        int fd = open(arguments[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fail_errno("open %s", arguments[i]);
        for (int round = 0; round < 5; round++) {
            step("%s: SIGALRM, round %d", arguments[i], round);
            struct itimerval timer = {.it_value = {.tv_usec = 150000}};
            double at = seconds_now() + 0.15;
            setitimer(ITIMER_REAL, &timer, NULL);
            expect_interrupt(fd, at, "SIGALRM");

            step("%s: SIGUSR1 from a thread, round %d", arguments[i], round);
            struct sender sender = {pthread_self(), seconds_now() + 0.1};
            pthread_t thread;
            if (pthread_create(&thread, NULL, send_signal, &sender) != 0)
                fail("pthread_create");
            expect_interrupt(fd, sender.at, "SIGUSR1");
            pthread_join(thread, NULL);
        }
        step("%s: SIGKILL of a blocked reader", arguments[i]);
        kill_reader(fd);
        close(fd);
    }
    printf("ok interrupt\n");
    return 0;
}
