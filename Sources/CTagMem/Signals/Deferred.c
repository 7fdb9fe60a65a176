/*
 * Asynchronous faults. As on Linux, one signal tells of one or many; it is sent to the thread, so it waits while the
 * thread has SIGSEGV blocked, and is lost if the program ignores it.
 */
#include "Signals.h"

#include <time.h>

enum {
	deferred_code = 8, /* SEGV_MTEAERR */
	most_milliseconds = 3,
	timer_value = 0x7a66, /* says that it is this timer */
};

/* The thread's timer. A child after fork has none of its parent's. */
static _Thread_local struct {
	int process; /* 0: none */
	int timer;
} own __attribute__((tls_model("initial-exec")));

static bool has_timer(void) {
	int process = (int)tagmem_call(SYS_getpid);
	if (own.process == process)
		return true;
	/* As the kernel takes it: SIGEV_THREAD_ID with the thread. */
	struct {
		uint64_t value;
		int number, notify, thread, rest[11];
	} event = {timer_value, tagmem_stand_in_segv, 4, (int)tagmem_call(SYS_gettid), {0}};
	_Static_assert(sizeof event == 64, "struct sigevent");
	if (tagmem_call(SYS_timer_create, CLOCK_MONOTONIC, &event, &own.timer) != 0)
		return false;
	own.process = process;
	return true;
}

void tagmem_note_deferred(void) {
	if (tagmem_thread.has_deferred_fault)
		return;
	tagmem_thread.has_deferred_fault = true;
	struct timespec soon[2] = {{0, 0}, {0, most_milliseconds * 1000000l}};
	if (has_timer())
		tagmem_call(SYS_timer_settime, own.timer, 0, soon, NULL);
}

static bool is_timer(const siginfo_t *info) {
	return info->si_code == SI_TIMER && info->si_value.sival_int == timer_value;
}

static siginfo_t take(void) {
	tagmem_thread.has_deferred_fault = false;
	return tagmem_info_of(SIGSEGV, deferred_code, 0);
}

bool tagmem_is_due(siginfo_t *info) {
	bool is_due = !is_timer(info) || tagmem_thread.has_deferred_fault;
	/* One signal tells of all until it comes. */
	if (is_timer(info) || (info->si_signo == tagmem_stand_in_segv && info->si_code == deferred_code))
		*info = take();
	return is_due;
}

/* It must not end a system call that waits. */
static void stop_timer(void) {
	struct timespec never[2] = {{0, 0}, {0, 0}};
	if (own.process != 0 && own.process == (int)tagmem_call(SYS_getpid))
		tagmem_call(SYS_timer_settime, own.timer, 0, never, NULL);
}

void tagmem_deliver_deferred(void) {
	if (!tagmem_thread.has_deferred_fault)
		return;
	tagmem_mask pending = 0;
	tagmem_call(SYS_rt_sigpending, &pending, sizeof pending);
	/* What waits already, maybe the timer's, tells of this one. */
	if ((pending & tagmem_mask_of(tagmem_stand_in_segv)) != 0)
		return;
	stop_timer();
	if (!tagmem_thread.has_deferred_fault)
		return;
	siginfo_t info = take();
	if (tagmem_queue_to_thread(tagmem_stand_in_segv, &info) < 0)
		tagmem_thread.has_deferred_fault = true;
}

/* A thread that ends leaves nothing behind. */
void tagmem_end_signals(void) {
	tagmem_mask mask = tagmem_set_mask(~(tagmem_mask)0);
	if (own.process != 0 && own.process == (int)tagmem_call(SYS_getpid))
		tagmem_call(SYS_timer_delete, own.timer);
	own.process = 0;
	tagmem_end_own_stack();
	tagmem_set_mask(mask);
}
