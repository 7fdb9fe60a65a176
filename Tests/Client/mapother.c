/// `mapother`: a file is mapped into a process that waits in a system call, which goes on as if nothing had been.
#define _GNU_SOURCE
#include <CGuest.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { page = 65536, rounds = 50 };

static volatile sig_atomic_t ticks;

static void on_tick(int signal) {
    (void)signal;
    ticks++;
}

static void give_up(const char *what) {
    fprintf(stderr, "mapother: %s: %s\n", what, strerror(errno));
    exit(1);
}

/// Waits for the word to change, in a system call that signals interrupt or begin anew, and answers through it. Some
/// children get a signal a millisecond.
static int child(volatile uint64_t *word, int silent, int tells) {
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = tells & 1 ? SA_RESTART : 0};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    if (tells & 2)
        setitimer(ITIMER_REAL, &every, NULL);
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        struct pollfd none = {.fd = silent, .events = POLLIN};
        int result = poll(&none, 1, 20);
        if (result != 0 && !(result == -1 && errno == EINTR))
            return 2;
        // What is in registers of every kind.
        sum += i * 0.5;
        if (sum != i * (i + 1.0) / 4)
            return 3;
        if (*word == 7) {
            *word = 9;
            return tells & 2 && ticks == 0 ? 4 : 0;
        }
        if (*word != 1)
            return 5;
    }
    return 6;
}

int mapother_main(int count, char **arguments) {
    (void)arguments;
    int file = memfd_create("mapother", 0), silent[2];
    if (count != 0 || file < 0 || ftruncate(file, 2 * page) != 0 || pipe(silent) != 0)
        give_up("cannot begin");
    uint64_t *word = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        give_up("mmap");
    *word = 1;
    for (int round = 0; round < rounds; round++) {
        uint64_t seven = 7, answer = 0;
        off_t offset = round % 2 * page;
        if (pwrite(file, &seven, sizeof seven, offset) != sizeof seven)
            give_up("pwrite");
        pid_t process = fork();
        if (process == 0)
            _exit(child(word, silent[0], round));
        if (round % 3 == 0)
            usleep(3000);
        int error = cguest_map(process, (uintptr_t)word, page, -1, 0);
        if (error != EBADF) {
            fprintf(stderr, "mapother: no file is mapped: %s\n", strerror(error));
            return 1;
        }
        error = cguest_map(process, (uintptr_t)word, page, file, (uint64_t)offset);
        int status = 0;
        if (error != 0)
            kill(process, SIGKILL);
        waitpid(process, &status, 0);
        if (pread(file, &answer, sizeof answer, offset) != sizeof answer || error != 0 || status != 0 || answer != 9) {
            fprintf(stderr, "mapother: round %d: error %d, status %#x, answer %d\n", round, error, status, (int)answer);
            return 1;
        }
    }
    if (*word != 1 || cguest_map(getpid(), (uintptr_t)word, page, file, 0) == 0) {
        fprintf(stderr, "mapother: this process has changed\n");
        return 1;
    }
    printf("ok mapother\n");
    return 0;
}

#ifdef MAPOTHER_ALONE
int main(int count, char **arguments) { return mapother_main(count - 1, arguments + 1); }
#endif
