/*
 * A span of one alias without a device: the same memory mapped twice, once to be closed, and once plain. It stands for
 * Space/ and Check/: pointers are into the closed alias, and an access is judged by a set of bad granules.
 */
#ifndef ALIAS_H
#define ALIAS_H

#include "../../../Sources/CTagMem/internal.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { alias_pages = 24, alias_size = alias_pages * 4096, alias_calls_max = 256 };

extern char *alias, *plain; /* the alias that opens and closes; the plain one */
void alias_map(void);
void alias_map_low(void); /* below 4 GiB */
void alias_protect(int protection);
/* Another object behind both, of the same size, that can be cut. */
extern int alias_file;

/* What is judged, and how. */
struct alias_call {
	uintptr_t address;
	size_t size;
	bool is_store;
};
extern struct alias_call alias_calls[alias_calls_max];
extern int alias_call_count;
extern bool alias_is_bad[alias_size / 16]; /* a mismatch */
extern enum tagmem_verdict alias_load_fault, alias_store_fault; /* what a mismatch is: TAG_FAULT at first */

/* SIGSEGV, SIGBUS and SIGFPE on a stack of their own. In a trap, `alias_result` is what came of it; if it was not done, the
 * program goes on in `alias_not_done`. */
extern _Thread_local struct tagmem_trap_result alias_result;
extern _Thread_local volatile long alias_traps;
extern void (*alias_not_done)(int number, siginfo_t *info, ucontext_t *context);
extern bool alias_is_native; /* signals are not tagmem_trap's */
/* Trap's: whether what follows is done in the same trap. */
extern bool tagmem_goes_ahead;
extern bool alias_is_told_sigfpe; /* SIGFPE's handler asks tagmem_trap_recover: true */
void alias_handle_signals(void);
void alias_signal_stack(void); /* of another thread */

/* Checks. A program ends with what finish() returns. */
extern int failures;
#define CHECK(condition, ...) \
	do { \
		if (!(condition) && failures++ < 40) { \
			printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			printf(__VA_ARGS__); \
			printf("\n"); \
		} \
	} while (0)
int finish(void);

/* Random numbers of a seed: argument 1, or the time; printed where a check failed. */
extern uint64_t seed;
void random_seed(int argc, char **argv);
uint64_t random_number(void);
uint64_t random_below(uint64_t limit);

#endif
