/*
 * The environment begins before main, or with the first call that asks for it before, if TAGMEM_OBJECT names an object's
 * directory. What is in the object goes: it is the
 * program's memory, which is zero at first. An object that another process uses is left to it; one beside it is made.
 */
#include "Environment.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct tagmem_span *tagmem_environment;

enum { exit_status = 127 };

static void say(const char *text) {
	long ignored = tagmem_call(SYS_write, STDERR_FILENO, text, strlen(text));
	(void)ignored;
}

static _Noreturn void give_up(const char *path, const char *what, int error) {
	char line[1024] = "libtagmem: ";
	const char *parts[] = {path, ": ", what, ": ", strerror(error), "\n"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		strncat(line, parts[i], sizeof line - 1 - strlen(line));
	say(line);
	_exit(exit_status);
}

static int choose_object(const char *path) {
	struct tagmem_object *main = &tagmem_objects[0];
	if (strlen(path) >= tagmem_path_max - 24)
		return ENAMETOOLONG;
	memcpy(tagmem_root, path, strlen(path) + 1);
	tagmem_remove_leftovers(path);
	int error = tagmem_open_object(main, path);
	if (error == EBUSY) {
		struct tagmem_object other;
		error = tagmem_make_object(&other);
		*main = other;
	} else if (!error) {
		error = (int)-tagmem_call(SYS_ftruncate, main->mem, 0);
		main->size = 0;
	}
	return error;
}

static int attach(const char *way) {
	unsigned flags = way != NULL && strcmp(way, "views") == 0 ? TAGMEM_VIEWS : 0;
	void *base = tagmem_attach(tagmem_objects[0].path, flags);
	if (base == NULL)
		return errno;
	struct tagmem_span *span = tagmem_pointer_of((uintptr_t)base).span;
	int error = tagmem_become_environment(span);
	if (!error)
		error = tagmem_start_blocks();
	if (!error)
		error = tagmem_start_notes();
	if (!error)
		tagmem_environment = span;
	return error;
}

static void begin(void) {
	const char *path = getenv("TAGMEM_OBJECT"), *way = getenv("TAGMEM_ATTACH");
	if (path == NULL || *path == 0)
		return;
	if (way != NULL && strcmp(way, "views") != 0 && strcmp(way, "aliases") != 0)
		give_up("TAGMEM_ATTACH", way, EINVAL);
	int saved = errno, error = choose_object(path);
	if (error)
		give_up(path, "no object for this program", error);
	error = attach(way);
	if (error)
		give_up(tagmem_objects[0].path, "cannot be attached", error);
	const char *mode = getenv("TAGMEM_MODE");
	error = mode != NULL && *mode != 0 ? tagmem_begin_in_mode(mode) : 0;
	if (error)
		give_up("TAGMEM_MODE", mode, error);
	errno = saved;
}

void tagmem_begin(void) {
	static _Atomic bool has_begun;
	/* Before libc has begun there are no variables. */
	if (has_begun || environ == NULL || atomic_exchange(&has_begun, true))
		return;
	tagmem_install_signals();
	tagmem_begin_processor();
	/* Before the handlers of others are registered: so the child's memory is its own when those run in it, and the
	 * parent's is copied when they have run. */
	tagmem_begin_forks();
	begin();
}

static __attribute__((constructor(102))) void start(void) { tagmem_begin(); }

static __attribute__((destructor(102))) void end(void) {
	if (tagmem_environment == NULL)
		return;
	tagmem_write_adopted();
	for (size_t i = 0; i < tagmem_object_max; i++) {
		if (tagmem_objects[i].process != 0)
			tagmem_remove_object(&tagmem_objects[i]);
	}
	/* Those of children that did not end so. */
	tagmem_remove_leftovers(tagmem_root);
}
