/*
 * fork: the child's private memory is a copy of the parent's, with the tags, in an object of its own. It is made before the
 * fork, so that it is that of the moment; what other threads store meanwhile may be in it or not. Shared memory is shared.
 */
#include "Copying.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

extern pid_t __fork(void);

/* What the child is to have. The environment's lock is held from the copy until the fork is over. */
static struct tagmem_object copied;

/* Of the thread that forks. */
static _Thread_local struct {
	bool is_called; /* fork() is, and can fail; other functions of libc fork within libc, and cannot */
	bool is_made, has_failed;
} own __attribute__((tls_model("initial-exec")));
static _Thread_local struct tagmem_object own_object __attribute__((tls_model("initial-exec")));
static _Thread_local uint64_t own_changes __attribute__((tls_model("initial-exec")));

static void prepare(void) {
	if (tagmem_environment == NULL)
		return;
	tagmem_lock_environment();
	struct tagmem_object object;
	int error = 0;
	if (own.is_made) {
		object = own_object;
		/* Other threads may have mapped more meanwhile. */
		if (own_changes != tagmem_changes)
			error = tagmem_size_copy(&object);
	} else {
		error = tagmem_make_room(&object);
		own.is_made = error == 0;
	}
	copied = object;
	if (!error)
		error = tagmem_copy_private(&copied);
	own.has_failed = error != 0;
}

/* The child has the object, and removes it. */
static void go_on_in_parent(void) {
	if (tagmem_environment == NULL)
		return;
	own_object = copied;
	if (!own.is_called && own.is_made) {
		tagmem_close_object(&own_object);
		own.is_made = false;
	}
	tagmem_share_blocks();
	tagmem_unlock_environment();
}

static void go_on_in_child(void) {
	tagmem_thread.has_deferred_fault = false;
	if (tagmem_environment == NULL)
		return;
	if (own.has_failed || tagmem_adopt_object(&copied) != 0)
		tagmem_call(SYS_exit_group, 127);
	own.is_called = own.is_made = false;
	tagmem_share_blocks();
	tagmem_reset_environment_lock();
	tagmem_unlock_environment();
}

void tagmem_begin_forks(void) { pthread_atfork(prepare, go_on_in_parent, go_on_in_child); }

static pid_t fail(int error) {
	errno = error;
	return -1;
}

TAGMEM_EXPORT pid_t fork(void) {
	tagmem_deliver_deferred();
	if (tagmem_environment == NULL)
		return __fork();
	tagmem_lock_environment();
	int error = tagmem_make_room(&own_object);
	own.is_made = error == 0;
	own_changes = tagmem_changes;
	tagmem_unlock_environment();
	if (error)
		return fail(error == ENOSPC ? ENOMEM : error);
	own.is_called = true;
	pid_t process = __fork();
	if (process == 0)
		return 0;
	own.is_called = own.is_made = false;
	if (process < 0 || own.has_failed) {
		error = process < 0 ? errno : ENOMEM;
		tagmem_remove_object(&own_object);
		/* One that has not begun, and never will. */
		if (process > 0)
			waitpid(process, NULL, 0);
		return fail(error);
	}
	tagmem_close_object(&own_object);
	return process;
}

/* The child has the parent's memory in the span, as after vfork. All else is its own: what it does to signals before it
 * executes something must not be what the library knows of the parent's. */
TAGMEM_EXPORT pid_t vfork(void) {
	tagmem_deliver_deferred();
	return (pid_t)tagmem_result(tagmem_call(SYS_clone, CLONE_VFORK | SIGCHLD));
}
