/*
 * What the tests of instrumented code share: checks, an object with tags, and faults that are caught.
 */
#ifndef FAULT_H
#define FAULT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <tagmem.h>
#include <unistd.h>

#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#define SEGV_MTESERR 9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

static int failures;

#define EXPECT(actual, expected) expect(__FILE__, __LINE__, #actual, (long)(actual), (long)(expected))

static inline void expect(const char *file, int line, const char *what, long actual, long expected) {
	if (actual == expected) return;
	const char *name = strrchr(file, '/');
	printf("%s:%d: %s is %ld (0x%lx), expected %ld (0x%lx)\n", name ? name + 1 : file, line, what, actual, actual, expected,
	       expected);
	failures++;
}

/* MARK: Memory */

enum { tag = 5, other_tag = 9, page = 4096, pages = 12 };

static char *base; /* of the object, with tag 0 */
static char *memory; /* the same with `tag`, which all of it has */

static inline void set_tag(long offset, unsigned value) {
	uint8_t byte = (uint8_t)value;
	if (tagmem_store_tags(base + offset, &byte, 1)) perror("tagmem_store_tags"), exit(1);
}

static inline char pattern_at(long offset) { return "The quick brown fox jumps over the lazy dog, at 0x"[offset % 50]; }

/* All granules get `tag` again, and all bytes the pattern. */
static inline void reset(void) {
	tagmem_set_tags(memory, pages * page);
	for (long i = 0; i < pages * page; i++) memory[i] = pattern_at(i);
}

static inline void attach(int count, char **arguments) {
	alarm(150);
	if (count < 2) fprintf(stderr, "usage: %s OBJECT\n", arguments[0]), exit(2);
	base = (char *)tagmem_attach(arguments[1], 0);
	if (!base) perror("tagmem_attach"), exit(1);
	if (tagmem_resize(base, pages * page)) perror("tagmem_resize"), exit(1);
	memory = (char *)tagmem_with_tag(base, tag);
	reset();
}

/* Whether the page of an alias can be touched without the trap. */
static inline int is_open(const void *pointer) {
	char byte;
	struct iovec to = { &byte, 1 }, from = { (void *)pointer, 1 };
	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* MARK: Faults */

static sigjmp_buf before;
static volatile sig_atomic_t is_expected;
static volatile int fault_code, faults;
static char *volatile fault_address;
static void (*volatile on_each)(siginfo_t *, void *); /* what a handler does first */

static inline void on_fault(int number, siginfo_t *info, void *context) {
	(void)number;
	if (!is_expected) {
		static const char text[] = "a fault that was not expected\n";
		if (write(STDERR_FILENO, text, sizeof text - 1)) {}
		_exit(1);
	}
	fault_code = info->si_code;
	fault_address = (char *)info->si_addr;
	faults++;
	if (on_each) on_each(info, context);
	else siglongjmp(before, 1);
}

static inline void catch_faults(void) {
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_fault;
	action.sa_flags = SA_SIGINFO | SA_EXPOSE_TAGBITS;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

enum { no_fault = -1, another_fault = -2 };

/* Where in `memory` the statement faults with SEGV_MTESERR. */
#define FAULT_OF(...) \
	({ \
		volatile long where_ = no_fault; \
		if (sigsetjmp(before, 1) == 0) { \
			is_expected = 1; \
			__VA_ARGS__; \
		} else { \
			where_ = fault_code == SEGV_MTESERR ? fault_address - memory : (long)another_fault; \
		} \
		is_expected = 0; \
		where_; \
	})

#endif
