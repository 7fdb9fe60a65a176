/*
 * Objects that are the environment's memory: the one that the program was given, and those that the library makes beside
 * it, whose names are its name, a dot and a number. Who uses one holds a lock of its `mem`, so that nobody else takes it,
 * and what is left of a program that was killed is removed by the next one that makes an object.
 */
#include "Environment.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>

char tagmem_root[tagmem_path_max];

static int out_of_the_way(long file) {
	if (file < 0)
		return (int)file;
	long above = tagmem_call(SYS_fcntl, file, F_DUPFD_CLOEXEC, 256);
	if (above < 0)
		return (int)file;
	tagmem_call(SYS_close, file);
	return (int)above;
}

int tagmem_open_object(struct tagmem_object *object, const char *path) {
	*object = (struct tagmem_object){.directory = -1, .mem = -1, .tags = -1};
	size_t length = strnlen(path, tagmem_path_max);
	if (length >= tagmem_path_max - 24)
		return ENAMETOOLONG;
	memcpy(object->path, path, length + 1);
	long error;
	object->directory = out_of_the_way(tagmem_call(SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	if ((error = object->directory) < 0)
		return (int)-error;
	object->mem = out_of_the_way(tagmem_call(SYS_openat, object->directory, "mem", O_RDWR | O_CLOEXEC));
	object->tags = out_of_the_way(tagmem_call(SYS_openat, object->directory, "tags", O_RDWR | O_CLOEXEC));
	struct stat status, again;
	if ((error = object->mem) >= 0 && (error = object->tags) >= 0)
		error = tagmem_call(SYS_flock, object->mem, LOCK_EX | LOCK_NB);
	if (error >= 0)
		error = tagmem_call(SYS_newfstatat, object->mem, "", &status, AT_EMPTY_PATH);
	/* Somebody who cleans up may have removed it before it was locked. */
	if (error >= 0)
		error = tagmem_call(SYS_newfstatat, object->directory, "mem", &again, 0);
	if (error >= 0 && status.st_ino != again.st_ino)
		error = -ENOENT;
	if (error < 0) {
		tagmem_close_object(object);
		return error == -EWOULDBLOCK ? EBUSY : (int)-error;
	}
	object->size = tagmem_round_up((uint64_t)status.st_size, tagmem_block);
	return 0;
}

void tagmem_close_object(struct tagmem_object *object) {
	int files[] = {object->directory, object->mem, object->tags};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (files[i] >= 0)
			tagmem_call(SYS_close, files[i]);
	}
	object->directory = object->mem = object->tags = -1;
}

void tagmem_remove_object(struct tagmem_object *object) {
	tagmem_close_object(object);
	if (object->process != 0 && object->process == (int)tagmem_call(SYS_getpid))
		tagmem_call(SYS_unlinkat, AT_FDCWD, object->path, AT_REMOVEDIR);
	object->process = 0;
}

/* MARK: Making one */

/* Without snprintf: it may be in a handler that forks. The root has left room. */
static void path_of(char *path, unsigned long number) {
	char digits[21];
	size_t at = sizeof digits, length = strlen(tagmem_root);
	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	digits[--at] = '.';
	memcpy(path, tagmem_root, length);
	memcpy(path + length, digits + at, sizeof digits - at);
	path[length + sizeof digits - at] = 0;
}

int tagmem_make_object(struct tagmem_object *object) {
	unsigned long process = (unsigned long)tagmem_call(SYS_getpid);
	for (unsigned long tries = 0; tries < 1000; tries++) {
		char path[tagmem_path_max];
		path_of(path, process + tries * 10000000);
		int error = (int)-tagmem_call(SYS_mkdirat, AT_FDCWD, path, 0700);
		if (!error || error == EEXIST) {
			bool was_there = error == EEXIST;
			error = tagmem_open_object(object, path);
			if (error == EBUSY || error == ENOENT)
				continue;
			if (!error && was_there) {
				/* One that a program which was killed has left. */
				error = (int)-tagmem_call(SYS_ftruncate, object->mem, 0);
				object->size = 0;
			}
			if (!error)
				object->process = (int)process;
		}
		return error;
	}
	return EEXIST;
}

/* Whether a name is that of the main object, a dot and a number. */
static bool is_made(const char *name, const char *root) {
	size_t length = strlen(root);
	const char *rest = name + length;
	return strncmp(name, root, length) == 0 && rest[0] == '.' && rest[1] != 0 &&
	       strspn(rest + 1, "0123456789") == strlen(rest + 1);
}

/* The directory's length is that of the path to it, with the slash behind it. */
static void remove_leftover(const char *path, size_t length, const char *name) {
	char other[tagmem_path_max];
	struct tagmem_object object;
	if (length + strlen(name) >= sizeof other)
		return;
	memcpy(other, path, length);
	memcpy(other + length, name, strlen(name) + 1);
	if (tagmem_open_object(&object, other) == 0) {
		tagmem_call(SYS_unlinkat, AT_FDCWD, other, AT_REMOVEDIR);
		tagmem_close_object(&object);
	}
}

/* Removes what programs have left that were killed: objects with such names which nobody uses. Without opendir: the program's
 * malloc may be what has called. Not for handlers. */
void tagmem_remove_leftovers(const char *path) {
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	size_t length = (size_t)(name - path);
	char parent[tagmem_path_max] = ".";
	if (length >= sizeof parent)
		return;
	if (length > 0) {
		memcpy(parent, path, length);
		parent[length] = 0;
	}
	long directory = tagmem_call(SYS_openat, AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return;
	_Alignas(struct dirent64) char entries[4096];
	long size;
	while ((size = tagmem_call(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
		for (long at = 0; at < size;) {
			const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
			if (is_made(entry->d_name, name))
				remove_leftover(path, length, entry->d_name);
			at += entry->d_reclen;
		}
	}
	tagmem_call(SYS_close, directory);
}

/* MARK: Size and pages */

int tagmem_grow_object(struct tagmem_object *object, uint64_t size) {
	enum { step = 1 << 20 };
	uint64_t least = tagmem_round_up(size, tagmem_block), most = tagmem_round_up(size, step);
	if (least <= object->size)
		return 0;
	long error = tagmem_call(SYS_ftruncate, object->mem, most);
	if (error == 0) {
		object->size = most;
		return 0;
	}
	error = tagmem_call(SYS_ftruncate, object->mem, least);
	if (error == 0)
		object->size = least;
	return error == -ENOSPC ? ENOMEM : (int)-error;
}

static long allocate(const struct tagmem_object *object, int mode, uint64_t start, uint64_t end) {
	if (end > object->size)
		end = object->size;
	if (start >= end)
		return 0;
	long error;
	do
		error = tagmem_call(SYS_fallocate, object->mem, mode, start, end - start);
	while (error == -EINTR);
	return error;
}

int tagmem_get_pages(const struct tagmem_object *object, uint64_t start, uint64_t end) {
	long error = allocate(object, FALLOC_FL_KEEP_SIZE, start, end);
	return error == -ENOSPC ? ENOMEM : (int)-error;
}

void tagmem_give_pages(const struct tagmem_object *object, uint64_t start, uint64_t end) {
	allocate(object, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end);
}
