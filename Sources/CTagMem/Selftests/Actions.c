/* Handlers that skip an instruction by adding 4 to the program counter. */
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include <tagmem/environment.h>

enum { signals = 65, instruction_of_arm = 4 };

static void (*_Atomic handlers[signals])(int, siginfo_t *, void *);

static void on_signal(int number, siginfo_t *info, void *context) {
	greg_t *counter = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], before = *counter;
	handlers[number](number, info, context);
	if (*counter == before + instruction_of_arm) {
		*counter = before;
		tagmem_skip_instruction(context);
	}
}

__attribute__((visibility("default"))) int
tagmem_selftests_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
	void (*before)(int, siginfo_t *, void *) = number > 0 && number < signals ? handlers[number] : NULL;
	struct sigaction wrapped, *changed = NULL;
	if (action != NULL) {
		wrapped = *action;
		changed = &wrapped;
		if (number > 0 && number < signals && (action->sa_flags & SA_SIGINFO) != 0) {
			handlers[number] = action->sa_sigaction;
			wrapped.sa_sigaction = on_signal;
		}
	}
	int result = sigaction(number, changed, old);
	if (result == 0 && old != NULL && (old->sa_flags & SA_SIGINFO) != 0 && old->sa_sigaction == on_signal)
		old->sa_sigaction = before;
	return result;
}
