/* Attachments come and go. */
#include "Fork.h"
#include "Kernel.h"
#include "Layout.h"
#include "Map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A span is at index base >> TAGMEM_SPAN_SHIFT. It is not given back: who still reads one that was taken away reads an old
 * one, and finds what it points to gone. */
static struct tagmem_span spans[tagmem_span_count];

static void close_all(const struct tagmem_span *span) {
	int files[] = { span->directory, span->mem, span->tags_file };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (files[i] >= 0) tagmem_call(SYS_close, files[i]);
	}
}

/* Descriptors that are out of the way of programs which count theirs. */
static int open_file(int directory, const char *name, int flags) {
	long file = tagmem_call(SYS_openat, directory, name, flags | O_CLOEXEC);
	if (file < 0) return file;
	long above = tagmem_call(SYS_fcntl, file, F_DUPFD_CLOEXEC, 256);
	if (above < 0) return file;
	tagmem_call(SYS_close, file);
	return above;
}

/* 0 or an errno. */
static int open_object(struct tagmem_span *span, const char *directory) {
	bool is_readonly = span->flags & TAGMEM_READONLY, is_views = span->flags & TAGMEM_VIEWS;
	span->directory = open_file(AT_FDCWD, directory, O_PATH | O_DIRECTORY);
	if (span->directory < 0) return -span->directory;
	span->mem = open_file(span->directory, "mem", is_readonly ? O_RDONLY : O_RDWR);
	/* Tags that nobody can store to need not be fetched from a mapping before the device checks. */
	span->tags_file = open_file(span->directory, "tags", is_readonly || is_views ? O_RDONLY : O_RDWR);
	if (span->mem == -ENOENT || span->tags_file == -ENOENT) return EOPNOTSUPP;
	if (span->mem < 0) return -span->mem;
	if (span->tags_file < 0) return -span->tags_file;
	struct stat status;
	if (fstat(span->mem, &status) != 0) return errno;
	if (!S_ISREG(status.st_mode)) return EOPNOTSUPP;
	if ((uint64_t)status.st_size > TAGMEM_OBJECT_MAX) return EINVAL;
	/* Only a device's files have a mode. */
	uint32_t mode;
	long result = tagmem_call(SYS_ioctl, span->mem, TAGMEM_GET_MODE, &mode);
	return result == -ENOTTY ? EOPNOTSUPP : result < 0 ? (int)-result : 0;
}

void *tagmem_attach(const char *directory, unsigned flags) {
	struct tagmem_span new = { .directory = -1, .mem = -1, .tags_file = -1, .flags = flags };
	int error = flags & ~(TAGMEM_VIEWS | TAGMEM_READONLY) ? EINVAL : open_object(&new, directory);
	if (!error) error = tagmem_map_span(&new);
	if (error) {
		close_all(&new);
		errno = error;
		return NULL;
	}
	tagmem_watch_forks();
	size_t index = new.base >> TAGMEM_SPAN_SHIFT;
	spans[index] = new;
	tagmem_spans[index] = &spans[index];
	__atomic_store_n(&tagmem_tags_of_span[index], new.tags, __ATOMIC_RELEASE);
	return (void *)new.base;
}

int tagmem_detach(void *base) {
	size_t index = (uintptr_t)base >> TAGMEM_SPAN_SHIFT;
	tagmem_lock();
	struct tagmem_span *span = index < tagmem_span_count ? tagmem_spans[index] : NULL;
	bool is_valid = span && span->base == (uintptr_t)base && !span->is_environment;
	struct tagmem_span old = { .base = 0 };
	if (is_valid) {
		old = *span;
		__atomic_store_n(&tagmem_tags_of_span[index], NULL, __ATOMIC_RELEASE);
		tagmem_spans[index] = NULL;
	}
	tagmem_unlock();
	if (!is_valid) {
		errno = EINVAL;
		return -1;
	}
	/* The span is the last to go: until then nobody else gets the index. */
	tagmem_unmap_span(&old);
	close_all(&old);
	return 0;
}
