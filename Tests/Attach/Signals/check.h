/* What tests of signals share: checks that say what they expected, and a bound for the whole. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int check_failures;

/* One line for a value that is not the expected one. */
#define expect_equal(actual, expected)                                                                                 \
	do {                                                                                                           \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected);                            \
		if (actual_ != expected_) {                                                                            \
			printf("%s:%d: %s is %lld (0x%llx), not %lld (0x%llx)\n", __FILE__, __LINE__, #actual,          \
			       actual_, actual_, expected_, expected_);                                                \
			fflush(stdout);                                                                                \
			check_failures++;                                                                              \
		}                                                                                                      \
	} while (0)
#define expect(condition) expect_equal((condition) != 0, 1)
#define expect_errno(call, error)                                                                                      \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		expect_equal((long)(call), -1);                                                                        \
		expect_equal(errno, error);                                                                            \
	} while (0)

/* How a child ends that runs the function: its wait status without the flag of a core dump. */
static inline int status_of(void (*function)(void)) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		check_failures = 0;
		alarm(20);
		function();
		fflush(stdout);
		_exit(check_failures == 0 ? 0 : 1);
	}
	int status = -1;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		printf("no child: errno %d\n", errno);
		exit(1);
	}
	return status & ~0x80;
}

static inline int finish(void) { return check_failures == 0 ? 0 : 1; }

#endif
