/* What the program has installed, and what of it the kernel has. */
#include "Signals.h"

/* The kernel's struct sigaction. */
struct kernel_action {
	tagmem_handler *handler;
	unsigned long flags;
	void (*restorer)(void);
	tagmem_mask mask;
};

#define SA_RESTORER_FLAG 0x04000000ul
#define SA_EXPOSE_TAGBITS_FLAG 0x800
/* Those that Linux knows; others read as 0. */
enum {
	known_flags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | (int)SA_RESETHAND |
		      SA_EXPOSE_TAGBITS_FLAG
};

/* Returns from a handler. Without unwind information, as libc's: unwinders know it by its bytes. */
void tagmem_restore(void) __attribute__((visibility("hidden")));
__asm__(".text\n"
	".p2align 4\n"
	"nop\n"
	".globl tagmem_restore\n"
	".hidden tagmem_restore\n"
	".type tagmem_restore, @function\n"
	"tagmem_restore:\n"
	"movq $15, %rax\n"
	"syscall\n"
	".size tagmem_restore, . - tagmem_restore\n");

static long kernel_action(int number, const struct kernel_action *new, struct kernel_action *old) {
	return tagmem_call(SYS_rt_sigaction, number, new, old, sizeof(tagmem_mask));
}

/* MARK: The table: written under the lock, read by handlers in all threads */

static struct {
	_Atomic unsigned version; /* odd while it is written */
	_Atomic(tagmem_handler *) handler;
	_Atomic int flags;
	_Atomic tagmem_mask mask;
} actions[tagmem_signal_max + 1];

static struct tagmem_action read_action(int number) {
	for (;;) {
		unsigned version = actions[number].version;
		struct tagmem_action action = {actions[number].handler, actions[number].flags, actions[number].mask};
		if ((version & 1) == 0 && actions[number].version == version)
			return action;
		__builtin_ia32_pause();
	}
}

static void write_action(int number, const struct tagmem_action *action) {
	actions[number].version++;
	actions[number].handler = action->handler;
	actions[number].flags = action->flags;
	actions[number].mask = action->mask;
	actions[number].version++;
}

/* MARK: SIGSEGV and SIGBUS */

static bool is_handled(int number) {
	tagmem_handler *handler = actions[number].handler;
	return handler != TAGMEM_DEFAULT && handler != TAGMEM_IGNORED;
}

/* The library's handler runs on the stack that the program wants its own on: it is what calls that. A SIGBUS of a refused
 * page is a SIGSEGV for the program. */
static bool wants_alternate_stack(int number) {
	if (number == SIGBUS && !is_handled(SIGBUS))
		number = SIGSEGV;
	return !is_handled(number) || (actions[number].flags & SA_ONSTACK) != 0;
}

static void take(int number) {
	unsigned long flags = SA_SIGINFO | SA_NODEFER | SA_RESTORER_FLAG;
	if (wants_alternate_stack(number))
		flags |= SA_ONSTACK;
	if (!is_handled(number) || (actions[number].flags & SA_RESTART) != 0)
		flags |= SA_RESTART;
	/* What an instruction may raise while the trap does it is not blocked. */
	tagmem_mask mask = ~(TAGMEM_FAULTS | tagmem_mask_of(SIGFPE));
	struct kernel_action action = {tagmem_on_fault, flags, tagmem_restore, mask};
	kernel_action(number, &action, NULL);
	kernel_action(tagmem_counterpart(number), &action, NULL);
}

static void take_both(void) {
	take(SIGSEGV);
	take(SIGBUS);
}

/* MARK: Changes */

static struct tagmem_action action_of_kernel(const struct kernel_action *action, int number) {
	if (action->handler == tagmem_on_signal) {
		/* The kernel knows which of the flags there are; a handler's mask is the program's. */
		struct tagmem_action result = read_action(number);
		result.flags = (int)(action->flags & ~(SA_SIGINFO | SA_RESTORER_FLAG)) | (result.flags & SA_SIGINFO);
		return result;
	}
	return (struct tagmem_action){action->handler, (int)(action->flags & ~SA_RESTORER_FLAG),
				      tagmem_mask_from_kernel(action->mask)};
}

static long change_other(int number, const struct tagmem_action *new, struct tagmem_action *old) {
	struct kernel_action current;
	long error = kernel_action(number, NULL, &current);
	if (error < 0)
		return error;
	struct tagmem_action before = action_of_kernel(&current, number);
	if (new != NULL) {
		struct kernel_action next = {new->handler, (unsigned)new->flags | SA_RESTORER_FLAG, tagmem_restore,
					     tagmem_mask_to_kernel(new->mask)};
		bool has_handler = new->handler != TAGMEM_DEFAULT && new->handler != TAGMEM_IGNORED;
		if (has_handler) {
			next.handler = tagmem_on_signal;
			next.flags |= SA_SIGINFO;
			write_action(number, new);
		}
		error = kernel_action(number, &next, NULL);
		if (error < 0)
			return error;
		/* A handler that the kernel is about to call in another thread still finds itself. */
	}
	if (old != NULL)
		*old = before;
	return 0;
}

static void change_fault(int number, const struct tagmem_action *new, struct tagmem_action *old) {
	if (old != NULL)
		*old = read_action(number);
	if (new == NULL)
		return;
	struct tagmem_action next = *new;
	next.flags &= known_flags;
	next.mask &= ~(tagmem_mask_of(SIGKILL) | tagmem_mask_of(SIGSTOP));
	write_action(number, &next);
	take_both();
}

int tagmem_change_action(int number, const struct tagmem_action *new, struct tagmem_action *old) {
	tagmem_install_signals();
	if (number < 1 || number >= tagmem_stand_in_bus || number == 32 || number == 33) {
		errno = EINVAL;
		return -1;
	}
	long error = 0;
	tagmem_lock();
	if (tagmem_is_fault(number))
		change_fault(number, new, old);
	else
		error = change_other(number, new, old);
	tagmem_unlock();
	return (int)tagmem_result(error);
}

struct tagmem_action tagmem_action_of(int number, bool takes) {
	struct tagmem_action action = read_action(number);
	if (!takes || (action.flags & (int)SA_RESETHAND) == 0 || action.handler == TAGMEM_DEFAULT ||
	    action.handler == TAGMEM_IGNORED)
		return action;
	tagmem_lock();
	action = read_action(number);
	if ((action.flags & (int)SA_RESETHAND) != 0 && action.handler != TAGMEM_DEFAULT &&
	    action.handler != TAGMEM_IGNORED) {
		struct tagmem_action next = action;
		next.handler = TAGMEM_DEFAULT;
		write_action(number, &next);
		if (tagmem_is_fault(number))
			take_both();
	}
	tagmem_unlock();
	return action;
}

/* MARK: At the start */

void tagmem_install_signals(void) {
	static _Atomic bool is_installed;
	if (is_installed)
		return;
	tagmem_lock();
	bool is_first = !is_installed;
	if (is_first) {
		static const int faults[] = {SIGSEGV, SIGBUS};
		for (size_t i = 0; i < 2; i++) {
			struct kernel_action current;
			kernel_action(faults[i], NULL, &current);
			struct tagmem_action action = action_of_kernel(&current, faults[i]);
			write_action(faults[i], &action);
		}
		take_both();
		is_installed = true;
	}
	tagmem_unlock();
	if (!is_first)
		return;
	/* What was blocked before is blocked for the program. */
	tagmem_mask mask = tagmem_set_mask(~(tagmem_mask)0);
	tagmem_set_mask(tagmem_mask_to_kernel(mask));
}

static __attribute__((constructor(101))) void install(void) { tagmem_install_signals(); }
