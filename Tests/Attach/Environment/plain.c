/* System calls without buffers: an asynchronous fault is told at each. */
#include "environment.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>

static volatile int faults, alarms;

static void on_signal(int number, siginfo_t *info, void *context) {
	(void)context;
	if (number == SIGALRM)
		alarms++;
	else
		faults += info->si_code == 8;
}

static double now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *volatile bad;

/* The fault is there as soon as the call has returned. */
#define expect_told(call)                                                                                              \
	do {                                                                                                           \
		faults = 0;                                                                                            \
		*bad = 1;                                                                                              \
		call;                                                                                                  \
		expect_equal(faults, 1);                                                                               \
	} while (0)

int main(int count, char **arguments) {
	begin(count, arguments);
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	char *memory = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tagmem_set_tags(tagmem_with_tag(memory, 3), page);
	/* Bits 59:56: whoever has compiled this, it is checked. */
	bad = (char *)((uintptr_t)memory | (uintptr_t)5 << 56);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | 4 | 0xfffful << 3, 0, 0, 0), 0);
	pid_t process = getpid();
	expect_told(sched_yield());
	expect_told(expect_equal(getpid(), process));
	expect_told(expect_equal(gettid(), process));
	expect_told(expect(getppid() > 0));
	expect_told(expect_equal(usleep(1), 0));
	expect_told(expect_equal(sleep(0), 0));
	expect_equal(sched_yield(), 0);
	/* While it is blocked it waits, however long. */
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 3; i++) {
		faults = 0;
		*bad = 1;
		for (double start = now(); now() - start < i * 0.01;)
			continue;
		sched_yield();
		*bad = 1;
		sched_yield();
		expect_equal(faults, 0);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		expect_equal(faults, 1);
		sched_yield();
		expect_equal(faults, 1);
		sigprocmask(SIG_BLOCK, &set, NULL);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* They are what they were, and so is what a signal leaves of them. */
	alarm(0);
	sigaction(SIGALRM, &action, NULL);
	struct itimerval soon = {{0, 0}, {0, 20000}};
	expect_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	expect_equal(pause(), -1);
	expect_equal(errno, EINTR);
	expect_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	expect_equal(sleep(5), 4);
	expect_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	expect_errno(usleep(3000000), EINTR);
	expect_equal(alarms, 3);
	pid_t child = fork();
	if (child == 0)
		_exit(getppid() == process && getpid() != process && gettid() == getpid() ? 0 : 1);
	int status;
	waitpid(child, &status, 0);
	expect_equal(status, 0);
	return finish();
}
