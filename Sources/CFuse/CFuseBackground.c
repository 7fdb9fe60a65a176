// Into the background: the command's process waits until the daemon's mount answers.
#define _GNU_SOURCE
#include "CFuseProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

// What the two processes say to each other, in this order.
static const char SERVING = 's';  // the daemon: requests are served
static const char ANSWERED = 'a'; // the command: one was answered
static const char DETACHED = 'd'; // the daemon: the terminal is free

enum {
    FUSE_MAGIC = 0x65735546,
    ANSWER_MILLISECONDS = 20000, // for an answer of a mount that serves
    END_MILLISECONDS = 2000,     // for the end of a daemon whose mount failed
};

// MARK: The command

static bool hear(int descriptor, char word) {
    char heard = 0;
    ssize_t count;
    do count = recv(descriptor, &heard, 1, 0);
    while (count < 0 && errno == EINTR);
    return count == 1 && heard == word;
}

static bool say(int descriptor, char word) {
    ssize_t count;
    do count = send(descriptor, &word, 1, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count == 1;
}

// Asks the mount for something that the kernel never knows by itself. Returns 0 or an errno.
//
// A process of its own asks: if there is no answer it cannot be killed, and it ends with the connection.
static int ask(const char *mountpoint) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
        struct statfs statistics;
        int result = statfs(mountpoint, &statistics) != 0 ? errno : statistics.f_type == FUSE_MAGIC ? 0 : ENOTCONN;
        _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(ends[1]);
    struct pollfd answer = {.fd = ends[0], .events = POLLIN};
    int count;
    do count = poll(&answer, 1, ANSWER_MILLISECONDS);
    while (count < 0 && errno == EINTR);
    if (count <= 0) return ETIMEDOUT;
    int result = 0;
    return read(ends[0], &result, sizeof result) == sizeof result ? result : EIO;
}

static bool wait_for_end(pid_t child, int *status) {
    for (int waited = 0; waited < END_MILLISECONDS; waited++) {
        if (waitpid(child, status, WNOHANG) == child) return true;
        usleep(1000);
    }
    return false;
}

// The daemon has ended, or is about to. What it said on stderr is enough if it says so with its status.
static _Noreturn void fail(const char *mountpoint, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) _exit(WEXITSTATUS(status));
    if (WIFSIGNALED(status))
        dprintf(2, "tagmemd: %s: the daemon was killed: %s\n", mountpoint, strsignal(WTERMSIG(status)));
    else
        dprintf(2, "tagmemd: %s: the connection ended before the mount answered\n", mountpoint);
    _exit(1);
}

static _Noreturn void wait_in_command(int descriptor, const char *mountpoint, pid_t child) {
    int status = 0;
    if (!hear(descriptor, SERVING)) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        fail(mountpoint, status);
    }
    int error = ask(mountpoint);
    if (error == 0 && say(descriptor, ANSWERED) && hear(descriptor, DETACHED)) _exit(0);
    // A daemon that has lost its mount ends by itself.
    if (error != ETIMEDOUT && wait_for_end(child, &status)) fail(mountpoint, status);
    kill(child, SIGTERM);
    dprintf(2, "tagmemd: %s: the mount does not answer: %s\n", mountpoint, strerror(error == 0 ? EIO : error));
    _exit(1);
}

int cfuse_background(const char *mountpoint) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child > 0) {
        close(ends[1]);
        wait_in_command(ends[0], mountpoint, child);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

// MARK: The daemon

void cfuse_background_serving(int descriptor) {
    if (say(descriptor, SERVING)) hear(descriptor, ANSWERED);
}

void cfuse_background_detach(int descriptor) {
    if (chdir("/") != 0) perror("tagmemd: /"); // keep no directory of the user's busy
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
        close(null);
    }
    say(descriptor, DETACHED);
    close(descriptor);
}
