/* What tests of the environment share: they run again with the object that is their argument as their environment. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include "../Signals/check.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <tagmem.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif

enum { page = 4096, read_write = PROT_READ | PROT_WRITE };

static sigjmp_buf before_access;
static volatile int fault_code;
static volatile uintptr_t fault_address;

__attribute__((unused)) static void on_fault(int number, siginfo_t *info, void *context) {
	(void)number, (void)context;
	fault_code = info->si_code;
	fault_address = (uintptr_t)info->si_addr;
	siglongjmp(before_access, 1);
}

/* The code of the signal that a load or store of a byte gets, or 0. */
__attribute__((unused)) static int load_fault(const void *pointer) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | 0x800};
	sigaction(SIGSEGV, &action, NULL);
	fault_code = 0;
	if (sigsetjmp(before_access, 1) == 0)
		(void)*(const volatile char *)pointer;
	return fault_code;
}

__attribute__((unused)) static int store_fault(void *pointer, char value) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | 0x800};
	sigaction(SIGSEGV, &action, NULL);
	fault_code = 0;
	if (sigsetjmp(before_access, 1) == 0)
		*(volatile char *)pointer = value;
	return fault_code;
}

/* `program OBJECT [way]` runs the test in the environment that the object is. */
static inline void begin(int count, char **arguments) {
	alarm(60);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getenv("TAGMEM_OBJECT") != NULL)
		return;
	if (count < 2) {
		printf("usage: %s OBJECT [aliases|views]\n", arguments[0]);
		exit(2);
	}
	setenv("TAGMEM_OBJECT", arguments[1], 1);
	if (count > 2)
		setenv("TAGMEM_ATTACH", arguments[2], 1);
	execv("/proc/self/exe", arguments);
	perror("execv");
	exit(2);
}

#endif
