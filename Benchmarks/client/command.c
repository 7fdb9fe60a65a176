// System calls on a path, and whole commands.

#define _GNU_SOURCE
#include "workloads.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void stat_open_close(const char *path)
{
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        struct stat st;
        uint64_t start = now_ns();
        if (stat(path, &st) != 0)
            fail("stat of %s", path);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            fail("%s", path);
        if (close(fd) != 0)
            fail("close of %s", path);
        samples_add(&samples, (double)(now_ns() - start));
    }
    samples_report(&samples);
}

static void run_once(char *const *arguments)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        // However this program ends, the command must not outlive it.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        fail("%s", arguments[0]);
    errno = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("%s failed with wait status %#x", arguments[0], (unsigned)status);
}

void run_command(char *const *arguments)
{
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        run_once(arguments);
        samples_add(&samples, (double)(now_ns() - start));
    }
    samples_report(&samples);
}
