/* A signal that an instruction raised while it was done here. */
#include "Trap.h"

#define OFFSET(field, value) _Static_assert(offsetof(struct tagmem_run, field) == (value), "Run.S knows it")
OFFSET(flags, 128);
OFFSET(code, 136);
OFFSET(state, 144);
OFFSET(features, 152);
OFFSET(signal, 160);
_Static_assert(SIGFPE == 8, "Run.S knows it");

static struct tagmem_signal signal_of(const siginfo_t *info) {
	return (struct tagmem_signal){
	    .number = info->si_signo, .code = info->si_code, .address = (uintptr_t)info->si_addr};
}

bool tagmem_trap_recover(const siginfo_t *info, ucontext_t *context) {
	greg_t *registers = context->uc_mcontext.gregs;
	uintptr_t pc = (uintptr_t)registers[REG_RIP];
	if (info->si_code <= 0) { /* somebody sent it */
		return false;
	}
	if (pc >= (uintptr_t)tagmem_copy && pc < (uintptr_t)tagmem_copy_end) {
		*(struct tagmem_signal *)registers[REG_R8] = signal_of(info);
		registers[REG_RIP] = (greg_t)tagmem_copy_fails;
		return true;
	}
	if (tagmem_is_rewritten(pc)) {
		/* The stack of tagmem_run: where it was called from, a register, the struct. */
		uint64_t *stack = (uint64_t *)registers[REG_RSP];
		struct tagmem_run *run = (struct tagmem_run *)stack[2];
		if (stack[0] != (uintptr_t)tagmem_run_after) {
			return false;
		}
		run->signal = signal_of(info);
		registers[REG_RIP] = (greg_t)tagmem_run_after;
		registers[REG_RSP] += 8;
		return true;
	}
	return false;
}
