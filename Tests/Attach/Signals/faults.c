/*
 * Tag faults as signals: what the handler is told, where, on which stack, and what becomes of the access. Code here is not
 * instrumented: pages are closed first, as instrumented code does it.
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <tagmem.h>
#include <time.h>

/* Of the library, hidden. */
extern void tagmem_close_page(uintptr_t address);
extern void tagmem_open_page(uintptr_t address);

enum { page = 4096, expose = 0x800, memory_tag = 5 };

static char *memory, *other; /* with the tag of the memory, and with another */
static char alternate_stack[65536];

static volatile int count, code, number_of_signal;
static volatile uintptr_t address, counter;
static volatile bool on_alternate_stack, segv_blocked, usr1_blocked;
static volatile enum { repeat, skip, leave, mend } what;
static sigjmp_buf before;

extern const char load_instruction[], store_instruction[], behind_store[];

static __attribute__((noinline)) uint64_t load(const void *from) {
	uint64_t value = 0x1111;
	__asm__ volatile(".globl load_instruction\nload_instruction: movq (%1), %0\n" : "+a"(value) : "b"(from) : "memory");
	return value;
}

static __attribute__((noinline)) void store(void *to, uint64_t value) {
	__asm__ volatile(".globl store_instruction\nstore_instruction: movq %1, (%0)\n.globl behind_store\nbehind_store:\n"
			 :
			 : "b"(to), "a"(value)
			 : "memory");
}

static void on_fault(int number, siginfo_t *info, void *context) {
	ucontext_t *where = context;
	char here;
	sigset_t set;
	count++;
	number_of_signal = number;
	code = info->si_code;
	address = (uintptr_t)info->si_addr;
	counter = (uintptr_t)where->uc_mcontext.gregs[REG_RIP];
	on_alternate_stack = &here >= alternate_stack && &here < alternate_stack + sizeof alternate_stack;
	sigprocmask(SIG_BLOCK, NULL, &set);
	segv_blocked = sigismember(&set, SIGSEGV);
	usr1_blocked = sigismember(&set, SIGUSR1);
	if (code != SEGV_MTESERR)
		return;
	switch (what) {
	case repeat: break;
	case skip: where->uc_mcontext.gregs[REG_RIP] += 3; break;
	case leave: siglongjmp(before, 1);
	case mend:
		if (count == 3)
			where->uc_mcontext.gregs[REG_RBX] = (greg_t)(uintptr_t)memory;
		break;
	}
}

static void catch_with(int flags) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	expect_equal(sigaction(SIGSEGV, &action, NULL), 0);
	count = code = 0;
	address = counter = 0;
}

static void set_mode(unsigned long mode) {
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | mode | 0xfffful << 3, 0, 0, 0), 0);
}

static uint64_t peek(void) {
	uint64_t value;
	memcpy(&value, memory, sizeof value);
	return value;
}

static void expect_fault(uintptr_t at, const char *instruction) {
	expect_equal(number_of_signal, SIGSEGV);
	expect_equal(code, SEGV_MTESERR);
	expect_equal(address, at);
	expect_equal(counter, (uintptr_t)instruction);
	expect(segv_blocked);
	expect(usr1_blocked);
}

static void expect_mask_is_empty(void) {
	uint64_t mask = 1;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	expect_equal(mask, 0);
}

static void synchronous(void) {
	uint64_t untouched = peek();
	/* Skipped: nothing of it is done. */
	catch_with(expose);
	what = skip;
	expect_equal(load(other), 0x1111);
	expect_fault((uintptr_t)other, load_instruction);
	expect_equal(count, 1);
	store(other + 8, 7);
	expect_fault((uintptr_t)other + 8, store_instruction);
	expect_equal(peek(), untouched);
	expect_mask_is_empty();
	/* Without SA_EXPOSE_TAGBITS the address has no tag. */
	catch_with(0);
	store(other + 3, 7);
	expect_fault((uintptr_t)tagmem_strip(other) + 3, store_instruction);
	/* A pointer with its tag in bits 59:56, and more above. */
	catch_with(expose);
	uintptr_t top = (uintptr_t)tagmem_strip(memory) | (uintptr_t)0x36 << 56;
	store((void *)top, 7);
	expect_fault(top, store_instruction);
	catch_with(0);
	store((void *)top, 7);
	expect_fault((uintptr_t)tagmem_strip(memory), store_instruction);
	count = 0;
	store((void *)((uintptr_t)tagmem_strip(memory) | (uintptr_t)0x35 << 56), 99);
	expect_equal(count, 0);
	expect_equal(peek(), 99);
	/* Left. */
	what = leave;
	if (sigsetjmp(before, 1) == 0) {
		store(other, 8);
		expect(false);
	}
	expect_mask_is_empty();
	expect_equal(peek(), 99);
	/* Repeated until it is right. */
	what = mend;
	catch_with(SA_NODEFER);
	store(other, 1234);
	expect_equal(count, 3);
	expect_equal(peek(), 1234);
	expect(!segv_blocked);
	/* The right tag, on a page that is closed. */
	count = 0;
	tagmem_close_page((uintptr_t)memory);
	store(memory, 77);
	expect_equal(load(memory), 77);
	tagmem_open_page((uintptr_t)memory);
	expect_equal(count, 0);
}

static void stacks(void) {
	what = skip;
	catch_with(SA_ONSTACK);
	store(other, 1);
	expect(on_alternate_stack);
	catch_with(0);
	store(other, 1);
	expect(!on_alternate_stack);
	/* Once only. */
	catch_with((int)SA_RESETHAND);
	store(other, 1);
	struct sigaction action;
	sigaction(SIGSEGV, NULL, &action);
	expect(action.sa_handler == SIG_DFL);
}

/* MARK: What the program blocks, and handlers */

static volatile uint64_t loaded;

static void load_in_handler(int number) {
	(void)number;
	loaded = load(memory);
}

/* A legal access to a closed page is done also where SIGSEGV is blocked, and in its handler. */
static void blocked(void) {
	sigset_t all, old;
	sigfillset(&all);
	tagmem_close_page((uintptr_t)memory);
	sigprocmask(SIG_SETMASK, &all, &old);
	store(memory, 4321);
	expect_equal(load(memory), 4321);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGSEGV, load_in_handler);
	raise(SIGSEGV);
	expect_equal(loaded, 4321);
	loaded = 0;
	signal(SIGUSR2, load_in_handler);
	raise(SIGUSR2);
	expect_equal(loaded, 4321);
	errno = 4711;
	(void)load(memory);
	expect_equal(errno, 4711);
	tagmem_open_page((uintptr_t)memory);
}

static void die_by_default(void) {
	signal(SIGSEGV, SIG_DFL);
	tagmem_close_page((uintptr_t)other);
	store(other, 1);
}

static void die_ignoring(void) {
	signal(SIGSEGV, SIG_IGN);
	tagmem_close_page((uintptr_t)other);
	store(other, 1);
}

static void die_blocking(void) {
	catch_with(0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tagmem_close_page((uintptr_t)other);
	store(other, 1);
}

static void fault_again(int number) {
	(void)number;
	store(other, 2);
}

static void die_in_handler(void) {
	signal(SIGSEGV, fault_again);
	tagmem_close_page((uintptr_t)other);
	store(other, 1);
}

/* A handler on as small a stack as programs have, which is still the same when it returns. */
static void on_small_stack(void) {
	static char small[8192] __attribute__((aligned(64)));
	stack_t stack = {.ss_sp = small, .ss_size = sizeof small}, old, now;
	expect_equal(sigaltstack(&stack, &old), 0);
	struct sigaction action = {.sa_handler = load_in_handler, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR2, &action, NULL);
	/* The library's handler is on it, too. */
	signal(SIGSEGV, SIG_DFL);
	tagmem_close_page((uintptr_t)memory);
	store(memory, 987);
	for (int i = 0; i < 3; i++) {
		loaded = 0;
		raise(SIGUSR2);
		expect_equal(loaded, 987);
	}
	tagmem_open_page((uintptr_t)memory);
	expect_equal(sigaltstack(&old, &now), 0);
	expect(now.ss_sp == small);
	expect_equal(now.ss_size, sizeof small);
	expect_equal(now.ss_flags, 0);
}

/* MARK: PSTATE.TCO: handlers run with checks, whatever the interrupted code had */

extern void tagmem_set_tco(bool off);
extern bool tagmem_tco(void);

static volatile int tco_in_handler;

static void note_tco(int number) {
	(void)number;
	tco_in_handler = tagmem_tco();
	tagmem_set_tco(true);
}

static void override(void) {
	catch_with(0);
	what = skip;
	tagmem_set_tco(true);
	store(other, 555);
	expect_equal(count, 0);
	expect_equal(peek(), 555);
	signal(SIGUSR2, note_tco);
	tco_in_handler = -1;
	raise(SIGUSR2);
	expect_equal(tco_in_handler, 0);
	expect(tagmem_tco());
	tagmem_set_tco(false);
	raise(SIGUSR2);
	expect_equal(tco_in_handler, 0);
	expect(!tagmem_tco());
}

/* MARK: Asynchronous faults */

static void wait_for_signal(void) {
	struct timespec start, now;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (count == 0 && now.tv_sec - start.tv_sec < 2);
}

static void expect_deferred(void) {
	expect_equal(count, 1);
	expect_equal(number_of_signal, SIGSEGV);
	expect_equal(code, SEGV_MTEAERR);
	expect_equal(address, 0);
}

static void asynchronous(void) {
	set_mode(PR_MTE_TCF_ASYNC);
	/* At a system call that the library sees. */
	catch_with(expose);
	store(other, 31);
	store(other, 32);
	expect_equal(peek(), 32);
	syscall(SYS_getpid);
	expect_deferred();
	/* Without one, soon. */
	catch_with(0);
	store(other, 33);
	(void)load(other);
	wait_for_signal();
	expect_deferred();
	syscall(SYS_getpid);
	expect_equal(count, 1);
	/* Blocked, it waits: one for many. */
	catch_with(0);
	sigset_t set, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 5; i++) {
		store(other, 34);
		syscall(SYS_getpid);
	}
	expect_equal(count, 0);
	sigpending(&pending);
	expect(sigismember(&pending, SIGSEGV));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	expect_deferred();
	/* Ignored, it is lost. */
	signal(SIGSEGV, SIG_IGN);
	store(other, 35);
	syscall(SYS_getpid);
	expect_equal(peek(), 35);
}

static void die_asynchronously(void) {
	signal(SIGSEGV, SIG_DFL);
	/* A child has no closed page. */
	tagmem_close_page((uintptr_t)other);
	store(other, 36);
	for (;;)
		;
}

static void *in_thread(void *unused) {
	(void)unused;
	/* It has its own signals. */
	store(other, 41);
	wait_for_signal();
	return (void *)(intptr_t)count;
}

static void threads(void) {
	catch_with(0);
	pthread_t thread;
	expect_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
	void *result;
	pthread_join(thread, &result);
	expect_deferred();
	/* The timers of threads that have ended are gone. */
	struct rlimit few = {40, 40};
	setrlimit(RLIMIT_SIGPENDING, &few);
	for (int i = 0; i < 60; i++) {
		count = 0;
		expect_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
		pthread_join(thread, &result);
		expect_equal((intptr_t)result, 1);
	}
}

int main(int argument_count, char **arguments) {
	alarm(40);
	if (argument_count < 2)
		return 2;
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
	expect_equal(sigaltstack(&stack, NULL), 0);
	char *base = tagmem_attach(arguments[1], 0);
	if (base == NULL || tagmem_resize(base, 16 * page) != 0) {
		printf("no object: errno %d\n", errno);
		return 1;
	}
	memory = tagmem_with_tag(base + page, memory_tag);
	other = tagmem_with_tag(base + page, 6);
	expect_equal(tagmem_set_tags(memory, page), 0);
	memset(memory, 'x', page);
	expect_equal(status_of(die_by_default), SIGSEGV);
	expect_equal(status_of(die_ignoring), SIGSEGV);
	expect_equal(status_of(die_blocking), SIGSEGV);
	expect_equal(status_of(die_in_handler), SIGSEGV);
	tagmem_close_page((uintptr_t)other);
	/* Nobody has called prctl: sync. */
	synchronous();
	set_mode(PR_MTE_TCF_SYNC);
	synchronous();
	stacks();
	blocked();
	on_small_stack();
	override();
	set_mode(PR_MTE_TCF_NONE);
	catch_with(0);
	store(other, 66);
	expect_equal(count, 0);
	asynchronous();
	threads();
	expect_equal(status_of(die_asynchronously), SIGSEGV);
	expect_equal(tagmem_detach(base), 0);
	return finish();
}
