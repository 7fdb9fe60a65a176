/* A thread starts with what the one that makes it has: the mode, the included tags, PSTATE.TCO. */
#include "Environment.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* libc's: by its other name where the program is linked statically, and dlsym finds nothing. */
extern create __pthread_create_2_1 __attribute__((weak));
extern void *dlsym(void *restrict, const char *restrict) __attribute__((weak));
/* Makes the linker take libc's pthread_create, which nothing else refers to. */
extern __attribute__((visibility("hidden"))) void *const tagmem_takes_threads;
void *const tagmem_takes_threads = (void *)timer_create;

static create *real(void) {
	static _Atomic(create *) found;
	if (found == NULL)
		found = __pthread_create_2_1 != NULL ? __pthread_create_2_1 : (create *)dlsym(RTLD_NEXT, "pthread_create");
	return found;
}

struct start {
	void *(*function)(void *);
	void *argument;
	unsigned long control;
	bool has_control, tco;
};

static void end(void *unused) {
	(void)unused;
	tagmem_end_signals();
	tagmem_open_closed_pages();
}

static void *run(void *argument) {
	struct start start = *(struct start *)argument;
	free(argument);
	tagmem_thread.control = start.control;
	tagmem_thread.has_control = start.has_control;
	tagmem_thread.tco = start.tco;
	void *result;
	pthread_cleanup_push(end, NULL);
	result = start.function(start.argument);
	pthread_cleanup_pop(1);
	return result;
}

TAGMEM_EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
				 void *(*function)(void *), void *restrict argument) {
	tagmem_deliver_deferred();
	struct start *start = malloc(sizeof *start);
	if (start == NULL)
		return EAGAIN;
	*start = (struct start){function, argument, tagmem_thread.control, tagmem_thread.has_control, tagmem_thread.tco};
	int error = real()(thread, attributes, run, start);
	if (error != 0)
		free(start);
	return error;
}

/* MARK: C11's */

struct c11_start {
	thrd_start_t function;
	void *argument;
};

static void *run_c11(void *argument) {
	struct c11_start start = *(struct c11_start *)argument;
	free(argument);
	return (void *)(intptr_t)start.function(start.argument);
}

TAGMEM_EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument) {
	struct c11_start *start = malloc(sizeof *start);
	if (start == NULL)
		return thrd_nomem;
	*start = (struct c11_start){function, argument};
	pthread_t created;
	int error = pthread_create(&created, NULL, run_c11, start);
	if (error != 0)
		free(start);
	else
		*thread = created;
	return error == 0 ? thrd_success : error == ENOMEM ? thrd_nomem : thrd_error;
}
