/* sigaction and its kin say what was installed, and handlers run as they were asked for. */
#include "check.h"

/* siginterrupt is one of those that are old and used. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#include <sys/mman.h>
#include <sys/syscall.h>

static volatile int caught, count;
static volatile bool on_alternate_stack;
static char alternate_stack[65536];

static void handler(int number) {
	char here;
	caught = number;
	count++;
	on_alternate_stack = &here >= alternate_stack && &here < alternate_stack + sizeof alternate_stack;
}

static void other(int number, siginfo_t *info, void *context) {
	(void)context;
	expect_equal(info->si_signo, number);
	handler(number);
}

static void installing(int number) {
	struct sigaction old;
	expect_equal(sigaction(number, NULL, &old), 0);
	expect(old.sa_handler == SIG_DFL);
	struct sigaction new = {.sa_sigaction = other, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | 0x800 | 0x400};
	sigemptyset(&new.sa_mask);
	sigaddset(&new.sa_mask, SIGBUS);
	sigaddset(&new.sa_mask, SIGUSR2);
	expect_equal(sigaction(number, &new, &old), 0);
	expect(old.sa_handler == SIG_DFL);
	struct sigaction second = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
	expect_equal(sigaction(number, &second, &old), 0);
	expect(old.sa_sigaction == other);
	/* 0x400 is the flag that no kernel knows. */
	expect_equal(old.sa_flags & 0xfbffffff, (SA_SIGINFO | SA_ONSTACK | SA_RESTART | 0x800));
	expect_equal(old.sa_flags & 0x400, 0);
	for (int i = 1; i <= 64; i++)
		expect_equal(sigismember(&old.sa_mask, i), i == SIGBUS || i == SIGUSR2);
	count = 0;
	raise(number);
	expect_equal(count, 1);
	expect_equal(caught, number);
	expect_equal(sigaction(number, NULL, &old), 0);
	expect(old.sa_handler == SIG_DFL);
	expect(signal(number, SIG_IGN) == SIG_DFL);
	raise(number);
	expect(signal(number, handler) == SIG_IGN);
	expect_equal(sigaction(number, NULL, &old), 0);
	expect(old.sa_handler == handler);
	expect_equal(old.sa_flags & ~0x04000000, SA_RESTART);
	expect_equal(siginterrupt(number, 1), 0);
	expect_equal(sigaction(number, NULL, &old), 0);
	expect_equal(old.sa_flags & ~0x04000000, 0);
	expect(signal(number, handler) == handler);
	expect_equal(sigaction(number, NULL, &old), 0);
	expect_equal(old.sa_flags & ~0x04000000, 0);
	expect_equal(siginterrupt(number, 0), 0);
	expect(sysv_signal(number, handler) == handler);
	raise(number);
	expect(signal(number, SIG_DFL) == SIG_DFL);
}

static void refused(void) {
	struct sigaction action = {.sa_handler = handler};
	static const int numbers[] = {0, -1, 32, 33, 63, 64, 65, 1000, SIGKILL, SIGSTOP};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		expect_errno(sigaction(numbers[i], &action, NULL), EINVAL);
		errno = 0;
		expect(signal(numbers[i], handler) == SIG_ERR);
		expect_equal(errno, EINVAL);
	}
	expect_equal(sigaction(SIGKILL, NULL, &action), 0);
}

static void *volatile nowhere = (void *)0x123450;

static volatile uintptr_t address;
static volatile int code;
static volatile uint64_t scratch[2] = {11, 22};

/* A true fault of memory that is no span's: the kernel's siginfo, and a context that can be changed. */
static void mend(int number, siginfo_t *info, void *context) {
	handler(number);
	address = (uintptr_t)info->si_addr;
	code = info->si_code;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RDX] = (greg_t)(uintptr_t)scratch;
}

static uint64_t load_from(void *pointer) {
	uint64_t result;
	__asm__ volatile("movq 8(%%rdx), %0" : "=a"(result) : "d"(pointer) : "memory");
	return result;
}

static void native(int flags, bool stack) {
	struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO | flags};
	sigaction(SIGSEGV, &action, NULL);
	expect_equal(load_from(nowhere), 22);
	expect_equal(address, (uintptr_t)nowhere + 8);
	expect_equal(code, SEGV_MAPERR);
	expect_equal(on_alternate_stack, stack);
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(load_from(page), 22);
	expect_equal(address, (uintptr_t)page + 8);
	expect_equal(code, SEGV_ACCERR);
	munmap(page, 4096);
	/* Not canonical: the kernel says no address. */
	expect_equal(load_from((void *)0x0500000000000000), 22);
	expect_equal(address, 0);
	expect_equal(code, SI_KERNEL);
}

static void load_nowhere(void) { load_from(nowhere); }
static void ignored(void) {
	signal(SIGSEGV, SIG_IGN);
	load_nowhere();
}
static void blocked(void) {
	signal(SIGSEGV, handler);
	sigset_t set;
	sigfillset(&set);
	/* The test's bound. */
	sigdelset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	load_nowhere();
}
static void nested(int number) {
	(void)number;
	load_nowhere();
}
static void in_handler(void) {
	signal(SIGSEGV, nested);
	load_nowhere();
}
static void resets(void) {
	struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
	sigaction(SIGSEGV, &action, NULL);
	load_nowhere();
}
static void sent(void) { raise(SIGSEGV); }
static void sent_and_ignored(void) {
	signal(SIGSEGV, SIG_IGN);
	raise(SIGSEGV);
	kill(getpid(), SIGSEGV);
}
static void sent_bus(void) { kill(getpid(), SIGBUS); }
static void aborts(void) {
	signal(SIGABRT, handler);
	abort();
}

int main(void) {
	alarm(20);
	stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
	expect_equal(sigaltstack(&stack, NULL), 0);
	installing(SIGUSR1);
	installing(SIGSEGV);
	installing(SIGBUS);
	refused();
	native(0, false);
	native(SA_ONSTACK, true);
	native(SA_NODEFER, false);
	signal(SIGSEGV, SIG_DFL);
	expect_equal(status_of(load_nowhere), SIGSEGV);
	expect_equal(status_of(ignored), SIGSEGV);
	expect_equal(status_of(blocked), SIGSEGV);
	expect_equal(status_of(in_handler), SIGSEGV);
	expect_equal(status_of(resets), SIGSEGV);
	expect_equal(status_of(sent), SIGSEGV);
	expect_equal(status_of(sent_and_ignored), 0);
	expect_equal(status_of(sent_bus), SIGBUS);
	expect_equal(status_of(aborts), SIGABRT);
	return finish();
}
