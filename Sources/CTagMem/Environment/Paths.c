/* Functions that give the kernel paths, and structs that say what is there. */
#include "Buffers.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* `P(path)`: the path for the kernel. CALL(number, arguments) makes the call. */
#define P tagmem_string
#define CALL(...) (tagmem_deliver_deferred(), (int)tagmem_result(tagmem_call(__VA_ARGS__)))

/* MARK: Opening */

static int open_at(int directory, const char *path, int flags, mode_t mode) {
	tagmem_deliver_deferred();
	return (int)tagmem_result(tagmem_call_cancellable(SYS_openat, directory, P(path), flags, mode));
}

#define OPEN(name, parameters, directory)                                                                              \
	TAGMEM_EXPORT int name parameters {                                                                            \
		mode_t mode = 0;                                                                                        \
		if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {                                                   \
			va_list list;                                                                                   \
			va_start(list, flags);                                                                          \
			mode = va_arg(list, mode_t);                                                                    \
			va_end(list);                                                                                   \
		}                                                                                                       \
		return open_at(directory, path, flags, mode);                                                           \
	}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int directory, const char *path, int flags, ...), directory)
OPEN(openat64, (int directory, const char *path, int flags, ...), directory)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);
TAGMEM_EXPORT int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
TAGMEM_EXPORT int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
TAGMEM_EXPORT int __openat_2(int directory, const char *path, int flags) { return open_at(directory, path, flags, 0); }
TAGMEM_EXPORT int __openat64_2(int directory, const char *path, int flags) { return open_at(directory, path, flags, 0); }

TAGMEM_EXPORT int creat(const char *path, mode_t mode) {
	return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
TAGMEM_EXPORT int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* MARK: What is there */

#define STAT(name, type, parameters, directory, path, flags)                                                           \
	TAGMEM_EXPORT int name parameters { return CALL(SYS_newfstatat, directory, path, TAGMEM_OUT(status), flags); }
#define STATS(suffix, type)                                                                                            \
	STAT(stat##suffix, type, (const char *path, type *status), AT_FDCWD, P(path), 0)                                \
	STAT(lstat##suffix, type, (const char *path, type *status), AT_FDCWD, P(path), AT_SYMLINK_NOFOLLOW)             \
	STAT(fstatat##suffix, type, (int directory, const char *path, type *status, int flags), directory, P(path), flags) \
	TAGMEM_EXPORT int fstat##suffix(int fd, type *status) { return CALL(SYS_fstat, fd, TAGMEM_OUT(status)); }

STATS(, struct stat)
STATS(64, struct stat64)

TAGMEM_EXPORT int statx(int directory, const char *path, int flags, unsigned mask, struct statx *status) {
	return CALL(SYS_statx, directory, P(path), flags, mask, TAGMEM_OUT(status));
}

TAGMEM_EXPORT int statfs(const char *path, struct statfs *status) { return CALL(SYS_statfs, P(path), TAGMEM_OUT(status)); }
TAGMEM_EXPORT int statfs64(const char *path, struct statfs64 *status) {
	return CALL(SYS_statfs, P(path), TAGMEM_OUT(status));
}
TAGMEM_EXPORT int access(const char *path, int mode) { return CALL(SYS_access, P(path), mode); }
TAGMEM_EXPORT int faccessat(int directory, const char *path, int mode, int flags) {
	if (flags == 0)
		return CALL(SYS_faccessat, directory, P(path), mode);
	return CALL(SYS_faccessat2, directory, P(path), mode, flags);
}

/* MARK: Changes */

TAGMEM_EXPORT int unlink(const char *path) { return CALL(SYS_unlink, P(path)); }
TAGMEM_EXPORT int unlinkat(int directory, const char *path, int flags) {
	return CALL(SYS_unlinkat, directory, P(path), flags);
}
TAGMEM_EXPORT int rmdir(const char *path) { return CALL(SYS_rmdir, P(path)); }
TAGMEM_EXPORT int mkdir(const char *path, mode_t mode) { return CALL(SYS_mkdir, P(path), mode); }
TAGMEM_EXPORT int mkdirat(int directory, const char *path, mode_t mode) {
	return CALL(SYS_mkdirat, directory, P(path), mode);
}
TAGMEM_EXPORT int rename(const char *from, const char *to) { return CALL(SYS_rename, P(from), P(to)); }
TAGMEM_EXPORT int renameat(int old, const char *from, int new, const char *to) {
	return CALL(SYS_renameat, old, P(from), new, P(to));
}
TAGMEM_EXPORT int renameat2(int old, const char *from, int new, const char *to, unsigned flags) {
	return CALL(SYS_renameat2, old, P(from), new, P(to), flags);
}
TAGMEM_EXPORT int link(const char *from, const char *to) { return CALL(SYS_link, P(from), P(to)); }
TAGMEM_EXPORT int linkat(int old, const char *from, int new, const char *to, int flags) {
	return CALL(SYS_linkat, old, P(from), new, P(to), flags);
}
TAGMEM_EXPORT int symlink(const char *target, const char *path) { return CALL(SYS_symlink, P(target), P(path)); }
TAGMEM_EXPORT int symlinkat(const char *target, int directory, const char *path) {
	return CALL(SYS_symlinkat, P(target), directory, P(path));
}
TAGMEM_EXPORT int chmod(const char *path, mode_t mode) { return CALL(SYS_chmod, P(path), mode); }
TAGMEM_EXPORT int chown(const char *path, uid_t user, gid_t group) { return CALL(SYS_chown, P(path), user, group); }
TAGMEM_EXPORT int lchown(const char *path, uid_t user, gid_t group) { return CALL(SYS_lchown, P(path), user, group); }
TAGMEM_EXPORT int truncate(const char *path, off_t size) { return CALL(SYS_truncate, P(path), size); }
TAGMEM_EXPORT int truncate64(const char *path, off64_t size) { return CALL(SYS_truncate, P(path), size); }
TAGMEM_EXPORT int chdir(const char *path) { return CALL(SYS_chdir, P(path)); }
TAGMEM_EXPORT int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
	return CALL(SYS_utimensat, directory, P(path), tagmem_struct(times, 2 * sizeof *times, false), flags);
}
TAGMEM_EXPORT int remove(const char *path) {
	int error = errno;
	if (unlink(path) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	errno = error;
	return rmdir(path);
}

/* MARK: Names that the kernel tells */

TAGMEM_EXPORT ssize_t readlinkat(int directory, const char *restrict path, char *restrict name, size_t size) {
	tagmem_deliver_deferred();
	uintptr_t address = (uintptr_t)name;
	void *plain;
	size = tagmem_buffer((const void *)address, size, true, &plain);
	return tagmem_result(tagmem_call(SYS_readlinkat, directory, P(path), plain, size));
}

TAGMEM_EXPORT ssize_t readlink(const char *restrict path, char *restrict name, size_t size) {
	return readlinkat(AT_FDCWD, path, name, size);
}

/* Into memory of malloc's, or into the program's. */
TAGMEM_EXPORT char *getcwd(char *name, size_t size) {
	tagmem_deliver_deferred();
	char path[PATH_MAX];
	long length = tagmem_call(SYS_getcwd, path, sizeof path);
	if (length > 0 && path[0] != '/')
		length = -ENOENT;
	if (length > 0 && size != 0 && (size_t)length > size)
		length = -ERANGE;
	if (length > 0 && size == 0 && name != NULL)
		length = -EINVAL;
	if (length > 0 && name == NULL) {
		name = malloc(size != 0 ? size : (size_t)length);
		if (name == NULL)
			return NULL;
	} else if (length > 0 && tagmem_struct(name, (size_t)length, true) == tagmem_refused) {
		length = -EFAULT;
	}
	if (tagmem_result(length) < 0)
		return NULL;
	return memcpy(name, path, (size_t)length);
}

ssize_t __readlink_chk(const char *restrict path, char *restrict name, size_t length, size_t size);
char *__getcwd_chk(char *name, size_t length, size_t size);
_Noreturn void __chk_fail(void);

TAGMEM_EXPORT ssize_t __readlink_chk(const char *restrict path, char *restrict name, size_t length, size_t size) {
	if (length > size)
		__chk_fail();
	return readlink(path, name, length);
}

TAGMEM_EXPORT char *__getcwd_chk(char *name, size_t length, size_t size) {
	if (length > size)
		__chk_fail();
	return getcwd(name, length);
}
