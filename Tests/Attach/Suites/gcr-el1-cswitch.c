/* Threads of many processes, each with modes and tags of its own. After Linux's check_gcr_el1_cswitch. */
#include "suites.h"

#include <pthread.h>

enum { processes = 96, threads = 5, rounds = 1000, draws = 8 };

static _Thread_local volatile int wrong;

static void *run(void *number) {
	uint64_t random = (uint64_t)getpid() << 16 ^ (uint64_t)(uintptr_t)number << 8 ^ 0x9e3779b97f4a7c15;
	static char *memory;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	if (memory == NULL)
		memory = map_kind((struct kind){0}, page_size);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < rounds; i++) {
		static const unsigned long modes[] = {PR_MTE_TCF_NONE, PR_MTE_TCF_SYNC, PR_MTE_TCF_ASYNC,
						      PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC};
		unsigned long mode = modes[next_random(&random) % 4], included = next_random(&random) >> 40 & all_tags;
		unsigned long control = PR_TAGGED_ADDR_ENABLE | mode | included << PR_MTE_TAG_SHIFT;
		wrong += prctl(PR_SET_TAGGED_ADDR_CTRL, control, 0, 0, 0) != 0;
		if (i % 64 == 0)
			sched_yield();
		wrong += (unsigned long)prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) != control;
		for (int j = 0; j < draws; j++) {
			unsigned tag = pointer_tag(insert_random_tag(memory, 0));
			wrong += included == 0 ? tag != 0 : !(included >> tag & 1);
		}
	}
	return (void *)(intptr_t)wrong;
}

static int run_process(void) {
	pthread_t all[threads];
	long failures = 0;
	for (size_t i = 0; i < threads; i++)
		failures += pthread_create(&all[i], NULL, run, (void *)i) != 0;
	for (size_t i = 0; i < threads; i++) {
		void *result = NULL;
		failures += pthread_join(all[i], &result) != 0;
		failures += (intptr_t)result;
	}
	/* The main thread's is what it was. */
	failures += (unsigned long)prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) !=
		    (PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0x0ff0ul << PR_MTE_TAG_SHIFT);
	return failures != 0;
}

int main(void) {
	begin();
	enter(mode_sync, 0x0ff0, 0);
	int ended = 0, well = 0;
	for (int i = 0; i < processes; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(run_process());
		expect(child > 0);
	}
	for (int status; wait(&status) > 0; ended++)
		well += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	expect_equal(ended, processes);
	expect_equal(well, processes);
	return finish();
}
