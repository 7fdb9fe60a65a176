/* What the program blocks is what it reads, and what is pending; the kernel never has SIGSEGV and SIGBUS blocked. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

static volatile int caught, code, count;
static volatile sigval_t value;

static void on_signal(int number, siginfo_t *info, void *context) {
	(void)context;
	caught = number;
	code = info->si_code;
	value.sival_int = info->si_value.sival_int;
	count++;
}

static uint64_t kernel_mask(void) {
	uint64_t mask = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	return mask;
}

static bool is_blocked(int number) {
	sigset_t set;
	sigemptyset(&set);
	expect_equal(sigprocmask(SIG_BLOCK, NULL, &set), 0);
	return sigismember(&set, number);
}

static void block(int how, int number) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, number);
	expect_equal(sigprocmask(how, &set, NULL), 0);
}

static void expect_unblocked_in_kernel(void) {
	expect_equal(kernel_mask() & (1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1)), 0);
}

static void reading(void) {
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGUSR1, 40, 62};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		expect(!is_blocked(numbers[i]));
		block(SIG_BLOCK, numbers[i]);
		for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
			expect_equal(is_blocked(numbers[j]), i == j);
		expect_unblocked_in_kernel();
		block(SIG_UNBLOCK, numbers[i]);
		expect(!is_blocked(numbers[i]));
	}
	sigset_t all, old;
	sigfillset(&all);
	expect_equal(pthread_sigmask(SIG_SETMASK, &all, &old), 0);
	expect(!sigismember(&old, SIGSEGV));
	expect_unblocked_in_kernel();
	for (int number = 1; number <= SIGRTMAX; number++)
		expect_equal(is_blocked(number), number != SIGKILL && number != SIGSTOP && number != 32 && number != 33);
	expect_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	expect_equal(kernel_mask(), 0);
	expect_equal(pthread_sigmask(77, &all, NULL), EINVAL);
	expect_errno(sigprocmask(77, &all, NULL), EINVAL);
	expect_equal(SIGRTMAX, 62);
	expect_equal(SIGRTMIN, 34);
}

/* One that was sent waits until it is unblocked, with what it came with. */
static void pending(int number) {
	count = 0;
	block(SIG_BLOCK, number);
	expect_equal(sigqueue(getpid(), number, (union sigval){.sival_int = 77}), 0);
	sigqueue(getpid(), number, (union sigval){.sival_int = 78});
	expect_equal(count, 0);
	sigset_t set;
	sigemptyset(&set);
	expect_equal(sigpending(&set), 0);
	for (int other = 1; other <= 64; other++)
		expect_equal(sigismember(&set, other), other == number);
	block(SIG_UNBLOCK, number);
	expect_equal(count, 1);
	expect_equal(caught, number);
	expect_equal(code, SI_QUEUE);
	expect_equal(value.sival_int, 77);
	expect_equal(sigpending(&set), 0);
	expect(!sigismember(&set, number));
}

/* The handler's mask is in force while it runs, and gone when it has returned. */
static volatile bool inner_segv, inner_bus, inner_usr1, seen_in_context;

static void look(int number, siginfo_t *info, void *context) {
	(void)number, (void)info;
	inner_segv = is_blocked(SIGSEGV);
	inner_bus = is_blocked(SIGBUS);
	inner_usr1 = is_blocked(SIGUSR1);
	seen_in_context = sigismember(&((ucontext_t *)context)->uc_sigmask, SIGSEGV);
	expect_unblocked_in_kernel();
	sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
}

static void handler_mask(int number, int flags, int masked, bool segv, bool bus, bool usr1) {
	struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO | flags};
	sigemptyset(&action.sa_mask);
	if (masked != 0)
		sigaddset(&action.sa_mask, masked);
	expect_equal(sigaction(number, &action, NULL), 0);
	expect_equal(raise(number), 0);
	expect_equal(inner_segv, segv);
	expect_equal(inner_bus, bus);
	expect_equal(inner_usr1, usr1);
	expect(!seen_in_context);
	expect(is_blocked(SIGUSR2));
	block(SIG_UNBLOCK, SIGUSR2);
	expect_equal(kernel_mask(), 0);
}

static sigjmp_buf before;

static void leave(int number) { siglongjmp(before, number); }

static void leaving(void) {
	signal(SIGSEGV, leave);
	block(SIG_BLOCK, SIGBUS);
	if (sigsetjmp(before, 1) == 0)
		raise(SIGSEGV);
	expect(!is_blocked(SIGSEGV));
	expect(is_blocked(SIGBUS));
	if (sigsetjmp(before, 0) == 0)
		raise(SIGSEGV);
	expect(is_blocked(SIGSEGV));
	block(SIG_UNBLOCK, SIGSEGV);
	block(SIG_UNBLOCK, SIGBUS);
}

static void waiting(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	block(SIG_BLOCK, SIGSEGV);
	raise(SIGSEGV);
	siginfo_t info;
	expect_equal(sigwaitinfo(&set, &info), SIGSEGV);
	expect_equal(info.si_signo, SIGSEGV);
	expect_equal(info.si_pid, getpid());
	raise(SIGSEGV);
	int number = 0;
	expect_equal(sigwait(&set, &number), 0);
	expect_equal(number, SIGSEGV);
	struct timespec none = {0, 1000000};
	expect_errno(sigtimedwait(&set, NULL, &none), EAGAIN);
	/* In sigsuspend it is as in its argument. */
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	raise(SIGSEGV);
	count = 0;
	sigemptyset(&set);
	expect_errno(sigsuspend(&set), EINTR);
	expect_equal(count, 1);
	expect(is_blocked(SIGSEGV));
	/* So in poll and its kin, for one that is pending, and for one that comes. */
	raise(SIGSEGV);
	count = 0;
	expect_errno(ppoll(NULL, 0, NULL, &set), EINTR);
	expect_equal(count, 1);
	raise(SIGSEGV);
	expect_errno(pselect(0, NULL, NULL, NULL, NULL, &set), EINTR);
	expect_equal(count, 2);
	expect(is_blocked(SIGSEGV));
	pid_t sender = fork();
	if (sender == 0) {
		for (int i = 0; i < 2000; i++) {
			kill(getppid(), SIGSEGV);
			usleep(1000);
		}
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		count = 0;
		expect_errno(ppoll(NULL, 0, NULL, &set), EINTR);
		expect(count >= 1);
	}
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	block(SIG_UNBLOCK, SIGSEGV);
}

static void *in_thread(void *unused) {
	(void)unused;
	expect(is_blocked(SIGBUS));
	expect(!is_blocked(SIGSEGV));
	block(SIG_UNBLOCK, SIGBUS);
	/* A signal of the process goes to who has it unblocked. */
	struct timespec step = {0, 1000000};
	for (int i = 0; i < 1000 && count == 0; i++)
		nanosleep(&step, NULL);
	return NULL;
}

static void threads(void) {
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &action, NULL);
	count = 0;
	block(SIG_BLOCK, SIGBUS);
	/* Often, as either thread may get it first. */
	for (int i = 0; i < 2000 && check_failures == 0; i++) {
		pthread_t thread;
		count = 0;
		expect_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
		kill(getpid(), SIGBUS);
		pthread_join(thread, NULL);
		expect_equal(count, 1);
		expect_equal(code, SI_USER);
	}
	block(SIG_UNBLOCK, SIGBUS);
	expect_equal(count, 1);
}

int main(void) {
	alarm(20);
	reading();
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGUSR1};
	for (size_t i = 0; i < 3; i++) {
		expect_equal(sigaction(numbers[i], &action, NULL), 0);
		pending(numbers[i]);
	}
	handler_mask(SIGSEGV, 0, 0, true, false, false);
	handler_mask(SIGSEGV, SA_NODEFER, 0, false, false, false);
	handler_mask(SIGSEGV, SA_NODEFER, SIGSEGV, true, false, false);
	handler_mask(SIGBUS, 0, SIGUSR1, false, true, true);
	handler_mask(SIGUSR1, 0, 0, false, false, true);
	handler_mask(SIGUSR1, 0, SIGSEGV, true, false, true);
	handler_mask(SIGUSR1, SA_NODEFER, SIGBUS, false, true, false);
	leaving();
	waiting();
	threads();
	return finish();
}
