/*
 * exec: the arguments may be in a span, and what the program blocks is what the new one has blocked. The environment of a
 * program that is executed is its own: descriptors close, and an object that another process uses is left to it.
 */
#include "Buffers.h"
#include "Signals/Signals.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

enum { here = -1000 }; /* no directory: execve */

static long count_of(char *const strings[]) {
	long count = 0;
	while (strings != NULL && strings[count] != NULL)
		count++;
	return count;
}

static bool has_spans(char *const strings[]) {
	bool has = tagmem_pointer_of((uintptr_t)strings).span != NULL;
	for (long i = 0; !has && strings != NULL && strings[i] != NULL; i++)
		has = tagmem_pointer_of((uintptr_t)strings[i]).span != NULL;
	return has;
}

/* The strings where the kernel finds them, in memory of the library's if they are not there anyway. */
static char **strings_of(char *const strings[]) {
	if (!tagmem_has_spans() || !has_spans(strings))
		return (char **)strings;
	long count = count_of(strings);
	char **plain = tagmem_kernel_map((size_t)(count + 1) * sizeof *plain, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (plain == MAP_FAILED)
		return NULL;
	for (long i = 0; i < count; i++)
		plain[i] = (char *)tagmem_string(strings[i]);
	return plain;
}

static void forget(char **plain, char *const strings[]) {
	if (plain != NULL && plain != strings)
		tagmem_call(SYS_munmap, plain, (size_t)(count_of(strings) + 1) * sizeof *plain);
}

static long execute(int directory, const char *path, char *const arguments[], char *const variables[], int flags) {
	tagmem_deliver_deferred();
	char **own_arguments = strings_of(arguments), **own_variables = strings_of(variables);
	long error = -E2BIG;
	if ((own_arguments != NULL || arguments == NULL) && (own_variables != NULL || variables == NULL)) {
		path = tagmem_string(path);
		/* The new program knows of no stand-ins. */
		tagmem_mask mask = tagmem_set_mask(~(tagmem_mask)0);
		tagmem_set_mask(tagmem_mask_from_kernel(mask));
		error = directory == here ? tagmem_call(SYS_execve, path, own_arguments, own_variables)
					  : tagmem_call(SYS_execveat, directory, path, own_arguments, own_variables, flags);
		tagmem_set_mask(mask);
	}
	forget(own_arguments, arguments);
	forget(own_variables, variables);
	return error;
}

TAGMEM_EXPORT int execve(const char *path, char *const arguments[], char *const variables[]) {
	return (int)tagmem_result(execute(here, path, arguments, variables, 0));
}

TAGMEM_EXPORT int execv(const char *path, char *const arguments[]) { return execve(path, arguments, environ); }

TAGMEM_EXPORT int execveat(int directory, const char *path, char *const arguments[], char *const variables[], int flags) {
	return (int)tagmem_result(execute(directory, path, arguments, variables, flags));
}

TAGMEM_EXPORT int fexecve(int fd, char *const arguments[], char *const variables[]) {
	if (fd < 0)
		return (int)tagmem_result(-EINVAL);
	return execveat(fd, "", arguments, variables, 0x1000 /* AT_EMPTY_PATH */);
}

/* MARK: By PATH */

/* A file without a format that the kernel knows is the shell's. */
static long execute_or_interpret(const char *path, char *const arguments[], char *const variables[]) {
	long error = execute(here, path, arguments, variables, 0);
	if (error != -ENOEXEC)
		return error;
	long count = count_of(arguments);
	char *interpreted[count + 3];
	interpreted[0] = "/bin/sh";
	interpreted[1] = (char *)path;
	interpreted[2] = NULL;
	for (long i = 1; i <= count; i++)
		interpreted[i + 1] = arguments[i];
	return execute(here, "/bin/sh", interpreted, variables, 0);
}

TAGMEM_EXPORT int execvpe(const char *file, char *const arguments[], char *const variables[]) {
	if (*file == 0)
		return (int)tagmem_result(-ENOENT);
	if (strchr(file, '/') != NULL)
		return (int)tagmem_result(execute_or_interpret(file, arguments, variables));
	const char *directories = getenv("PATH");
	if (directories == NULL)
		directories = "/bin:/usr/bin";
	bool was_denied = false;
	size_t name = strlen(file);
	for (const char *end;; directories = end + 1) {
		end = strchrnul(directories, ':');
		size_t length = (size_t)(end - directories);
		char path[4096];
		if (length + name + 2 <= sizeof path) {
			memcpy(path, directories, length);
			path[length] = '/';
			memcpy(path + length + (length > 0), file, name + 1);
			long error = execute_or_interpret(path, arguments, variables);
			was_denied |= error == -EACCES;
			if (error != -EACCES && error != -ENOENT && error != -ESTALE && error != -ENOTDIR &&
			    error != -ENODEV && error != -ETIMEDOUT)
				return (int)tagmem_result(error);
		}
		if (*end == 0)
			break;
	}
	return (int)tagmem_result(was_denied ? -EACCES : -ENOENT);
}

TAGMEM_EXPORT int execvp(const char *file, char *const arguments[]) { return execvpe(file, arguments, environ); }

/* MARK: With the arguments one by one */

/* The arguments in an array, and what follows them in `variables`. */
#define COLLECT(first)                                                                                                 \
	va_list list, again;                                                                                           \
	va_start(list, first);                                                                                         \
	va_copy(again, list);                                                                                          \
	long count = 1;                                                                                                \
	while (va_arg(list, char *) != NULL)                                                                           \
		count++;                                                                                                \
	char *arguments[count + 1];                                                                                    \
	arguments[0] = (char *)first;                                                                                  \
	for (long i = 1; i <= count; i++)                                                                              \
		arguments[i] = va_arg(again, char *);                                                                   \
	va_end(again)

TAGMEM_EXPORT int execl(const char *path, const char *first, ...) {
	COLLECT(first);
	va_end(list);
	return execve(path, arguments, environ);
}

TAGMEM_EXPORT int execlp(const char *file, const char *first, ...) {
	COLLECT(first);
	va_end(list);
	return execvpe(file, arguments, environ);
}

TAGMEM_EXPORT int execle(const char *path, const char *first, ...) {
	COLLECT(first);
	char *const *variables = va_arg(list, char *const *);
	va_end(list);
	return execve(path, arguments, variables);
}
