/*
 * What the files of Signals/ share.
 *
 * SIGSEGV and SIGBUS are never blocked, as a legal access to a closed page must be completed whatever the program has
 * blocked. In the kernel's mask of a thread two other signals stand for them, the last two of the real-time ones, which
 * programs cannot have (SIGRTMAX is 62): blocked means that the program has SIGSEGV or SIGBUS blocked. So what keeps
 * masks (sigsetjmp, the kernel's signal frames, fork, threads) keeps the program's.
 *
 * A SIGSEGV or SIGBUS that waits for the program to unblock it is pending as its stand-in, with its siginfo.
 */
#ifndef TAGMEM_SIGNALS_H
#define TAGMEM_SIGNALS_H

#include "Calls.h"

#include <string.h>

enum { tagmem_stand_in_segv = 64, tagmem_stand_in_bus = 63, tagmem_signal_max = 64 };

/* As the kernel has it: bit n - 1 is signal n. */
typedef uint64_t tagmem_mask;

static inline tagmem_mask tagmem_mask_of(int number) { return (tagmem_mask)1 << (number - 1); }

#define TAGMEM_STAND_INS (tagmem_mask_of(tagmem_stand_in_segv) | tagmem_mask_of(tagmem_stand_in_bus))
#define TAGMEM_FAULTS (tagmem_mask_of(SIGSEGV) | tagmem_mask_of(SIGBUS))

static inline bool tagmem_is_fault(int number) { return number == SIGSEGV || number == SIGBUS; }

/* SIGSEGV or SIGBUS for its stand-in and the other way round, any other number for itself. */
static inline int tagmem_counterpart(int number) {
	switch (number) {
	case SIGSEGV: return tagmem_stand_in_segv;
	case SIGBUS: return tagmem_stand_in_bus;
	case tagmem_stand_in_segv: return SIGSEGV;
	case tagmem_stand_in_bus: return SIGBUS;
	default: return number;
	}
}

/* The kernel's mask for a program's, and back. */
static inline tagmem_mask tagmem_mask_to_kernel(tagmem_mask mask) {
	tagmem_mask result = mask & ~(TAGMEM_STAND_INS | TAGMEM_FAULTS);
	if (mask & tagmem_mask_of(SIGSEGV))
		result |= tagmem_mask_of(tagmem_stand_in_segv);
	if (mask & tagmem_mask_of(SIGBUS))
		result |= tagmem_mask_of(tagmem_stand_in_bus);
	return result;
}

static inline tagmem_mask tagmem_mask_from_kernel(tagmem_mask mask) {
	tagmem_mask result = mask & ~(TAGMEM_STAND_INS | TAGMEM_FAULTS);
	if (mask & tagmem_mask_of(tagmem_stand_in_segv))
		result |= tagmem_mask_of(SIGSEGV);
	if (mask & tagmem_mask_of(tagmem_stand_in_bus))
		result |= tagmem_mask_of(SIGBUS);
	return result;
}

/* libc's sets are longer than the kernel's; what is behind is nobody's. */
static inline tagmem_mask tagmem_mask_of_set(const sigset_t *set) {
	tagmem_mask mask;
	memcpy(&mask, set, sizeof mask);
	return mask;
}

/* The two signals that libc has for itself: it lets nobody block them. */
#define TAGMEM_LIBC_SIGNALS (tagmem_mask_of(32) | tagmem_mask_of(33))

static inline void tagmem_set_of_mask(sigset_t *set, tagmem_mask mask) { memcpy(set, &mask, sizeof mask); }

static inline tagmem_mask tagmem_set_mask(tagmem_mask mask) {
	tagmem_mask old = 0;
	tagmem_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
	return old;
}

/* A handler of a program, called with three arguments also where it wants one: the others are in registers that it does
 * not look at. */
typedef void tagmem_handler(int number, siginfo_t *info, void *context);

/* What a program has installed for a signal. */
struct tagmem_action {
	tagmem_handler *handler; /* or SIG_DFL, SIG_IGN */
	int flags; /* SA_… */
	tagmem_mask mask; /* the program's */
};
#define TAGMEM_DEFAULT ((tagmem_handler *)0)
#define TAGMEM_IGNORED ((tagmem_handler *)1)

#pragma GCC visibility push(hidden)

/* MARK: Actions.c */

/* The program's action now. If it is a handler for one signal only (SA_RESETHAND) and `takes`, it is the default from now
 * on. */
struct tagmem_action tagmem_action_of(int number, bool takes);
/* sigaction, with `new` or `old` NULL or not; -1 and errno. */
int tagmem_change_action(int number, const struct tagmem_action *new, struct tagmem_action *old);

/* MARK: Handlers.c, Faults.c */

/* What the kernel calls: for SIGSEGV, SIGBUS and their stand-ins, and for all other signals that the program handles. */
void tagmem_on_fault(int number, siginfo_t *info, void *context);
void tagmem_on_signal(int number, siginfo_t *info, void *context);

/* Calls a handler of the program for SIGSEGV or SIGBUS as the kernel does: its mask, and PSTATE.TCO off. What was blocked
 * for the library's handler is as it was before. */
void tagmem_deliver(const struct tagmem_action *action, int number, siginfo_t *info, ucontext_t *context);

/* MARK: Raising.c */

siginfo_t tagmem_info_of(int number, int code, uintptr_t address);
/* Whether the program has it blocked where the context was interrupted. */
bool tagmem_is_blocked(int number, const ucontext_t *context);
/* Ends the process with that signal. It comes when the handler returns, so that a core dump shows the registers of the
 * program. */
void tagmem_die(int number, siginfo_t *info, ucontext_t *context);
/* A synchronous fault: one that is blocked or ignored ends the process. */
void tagmem_raise_fault(int number, siginfo_t *info, ucontext_t *context);
/* One that somebody sent, or that was found later, and is not blocked; and one that is: it waits as its stand-in. */
void tagmem_raise_sent(int number, siginfo_t *info, ucontext_t *context);
void tagmem_make_wait(int number, siginfo_t *info);
/* Of a stand-in that has come: what it stands for. */
void tagmem_end_wait(siginfo_t *info);
/* What else an instruction may raise. */
void tagmem_raise_other(const struct tagmem_signal *signal, ucontext_t *context);

/* MARK: Skipping.c */

/* Sets the mask, and takes the signal that tagmem_raise has sent: whether its handler has skipped the instruction. */
bool tagmem_unblock_raised(tagmem_mask mask);

/* MARK: OwnStack.c */

struct tagmem_trap_result tagmem_trap_on_own_stack(ucontext_t *context);
void tagmem_end_own_stack(void);

/* MARK: Masks.c */

/* rt_sigprocmask with the program's masks: a negative errno. */
long tagmem_change_mask(int how, const sigset_t *set, sigset_t *old);

/* MARK: Waits.c */

/* The mask that a system call has put in place of the thread's while it waits; the context of a signal that ends it has
 * the thread's own. */
struct tagmem_wait {
	bool is_waiting;
	tagmem_mask mask; /* the kernel's */
};
extern _Thread_local struct tagmem_wait tagmem_wait __attribute__((tls_model("initial-exec")));
/* A system call that waits so. */
#define tagmem_call_waiting(mask, ...) TAGMEM_WAITING_7(mask, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define TAGMEM_WAITING_7(mask, n, a, b, c, d, e, f, ...)                                                               \
	tagmem_kernel_waiting(mask, n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
long tagmem_kernel_waiting(tagmem_mask mask, long number, long a, long b, long c, long d, long e, long f);

/* MARK: Deferred.c */

/* Of a stand-in that has come: false if it is that of a fault which has been told already. Otherwise `info` says what it tells,
 * and that is told now. */
bool tagmem_is_due(siginfo_t *info);

/* Sends the thread, or the process, a signal with that siginfo; a negative errno. */
static inline long tagmem_queue_to_thread(int number, siginfo_t *info) {
	return tagmem_call(SYS_rt_tgsigqueueinfo, tagmem_call(SYS_getpid), tagmem_call(SYS_gettid), number, info);
}

#pragma GCC visibility pop

#endif
