/* A timer's signal, as often as it goes, in the midst of traps: its handler traps as well, leaves by siglongjmp at times, and
 * forks at times; and nothing of it is seen in what is computed. */
#include "alias.h"

#include <math.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long alarms;
static long *counters; /* in closed memory: 0 the handler's, 1 and on the program's */
static sigjmp_buf again;
static volatile bool may_leave;
static volatile long left;

static void ring(int number, siginfo_t *info, void *context) {
	(void)number;
	(void)info;
	(void)context;
	double *scratch = (double *)alias + 4096 + (alarms % 8) * 8;
	alarms++;
	__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 8; i++) { /* vectors and the x87 */
		scratch[i] = (double)alarms * i;
		((volatile long double *)alias)[3072] += (long double)scratch[i];
	}
	if (alarms % 64 == 0 && alarms < 2000) {
		pid_t child = fork();
		if (child == 0) {
			/* New instructions in the child, and what the parent had. */
			__atomic_fetch_sub(&counters[1000], 1, __ATOMIC_RELAXED);
			scratch[0] = scratch[1] / 3;
			_exit(scratch[0] == (double)alarms / 3 ? 0 : 1);
		}
		int status;
		waitpid(child, &status, 0);
		CHECK(status == 0, "child %#x", status);
	}
	if (may_leave && alarms % 16 == 0) {
		left++;
		siglongjmp(again, 1);
	}
}

/* The same in both memories. */
static double compute(volatile double *values, volatile uint64_t *words, unsigned rounds) {
	double sum = 0;
	uint64_t hash = 1;
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < 64; i++) {
			values[i] = values[i] * 1.25 + sqrt((double)(i + round));
			words[i] = words[i] * 6364136223846793005 + hash;
			hash ^= words[i] >> (i % 17);
			sum += (double)((long double)values[i] / (long double)(words[i] % 1000 + 1));
			if (values[i] > 1e9) {
				values[i] = 1;
			}
		}
		memmove((char *)values + 3, (char *)values, 64);
	}
	return sum + (double)hash;
}

static void fill(char *memory) {
	for (int i = 0; i < 4096; i++) {
		memory[i] = (char)(i % 63);
	}
}

static double run(char *memory, unsigned rounds) {
	fill(memory + 8192);
	fill(memory + 12288);
	return compute((double *)(memory + 8192), (uint64_t *)(memory + 12288), rounds);
}

int main(void) {
	struct sigaction action = {.sa_sigaction = ring, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct itimerval timer = {.it_interval = {.tv_usec = 700}, .it_value = {.tv_usec = 700}};
	alias_map();
	alias_handle_signals();
	counters = (long *)alias;
	double expected[6];
	for (unsigned i = 0; i < 6; i++) {
		expected[i] = run(plain, i + 1);
	}
	alias_protect(PROT_NONE);
	sigaction(SIGALRM, &action, NULL);
	alarm(0);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (unsigned i = 0; i < 120; i++) {
		tagmem_goes_ahead = i & 1;
		double got = run(alias, i % 6 + 1);
		CHECK(memcmp(&got, &expected[i % 6], sizeof got) == 0, "round %u: %a, expected %a", i, got, expected[i % 6]);
	}
	/* A handler that leaves in the midst of an instruction. */
	for (volatile unsigned i = 0; i < 60; i++) {
		sigsetjmp(again, 1);
		tagmem_goes_ahead = i & 1;
		may_leave = true;
		run(alias, 1);
		may_leave = false;
		double got = run(alias, 2);
		CHECK(memcmp(&got, &expected[1], sizeof got) == 0, "after leaving: %a, expected %a", got, expected[1]);
	}
	timer = (struct itimerval){0};
	setitimer(ITIMER_REAL, &timer, NULL);
	CHECK(alarms > 100 && left > 0, "%ld alarms, %ld left", alarms, left);
	long counted = ((long *)plain)[0];
	CHECK(counted == alarms, "%ld alarms counted of %ld", counted, alarms);
	return finish();
}
