/*
 * Shared mappings of files of tmpfs without PROT_MTE, in the span: pages of the file, so that all programs see them, until
 * mprotect wants tags for some. Then the file is adopted, with all of its mappings here. They have blocks of their own.
 */
#include "Files.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct foreign {
	uint64_t start, end; /* 0: free */
	uint64_t offset; /* in the file */
	int file;
} mappings[128];
enum { mapping_max = sizeof mappings / sizeof *mappings };

static struct foreign *find(uint64_t at) {
	for (struct foreign *one = mappings; one < mappings + mapping_max; one++) {
		if (at >= one->start && at < one->end)
			return one;
	}
	return NULL;
}

static int remember(int fd, uint64_t start, uint64_t end, uint64_t offset) {
	struct foreign *one = mappings;
	while (one < mappings + mapping_max && one->end != 0)
		one++;
	if (one == mappings + mapping_max)
		return ENOMEM;
	long file = tagmem_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 256);
	if (file < 0)
		return (int)-file;
	*one = (struct foreign){start, end, offset, (int)file};
	return 0;
}

static void drop(struct foreign *one) {
	tagmem_call(SYS_close, one->file);
	one->end = one->start = 0;
}

int tagmem_map_foreign(uint64_t start, uint64_t end, int protection, int fd, uint64_t offset, bool may_get_tags) {
	int error = may_get_tags ? remember(fd, start, end, offset) : 0;
	if (error)
		return error;
	error = tagmem_map_foreign_pages(start, end, fd, offset);
	if (!error) {
		tagmem_note(start, end, tagmem_foreign | (may_get_tags ? tagmem_may_get_tags : 0), 0);
		error = tagmem_map_backed_range(start, end, protection);
	}
	if (error) {
		if (may_get_tags)
			tagmem_forget_foreign(start, end);
		tagmem_restore_pages(start, end);
		tagmem_note(start, end, 0, tagmem_noted_max);
	}
	return error;
}

/* What is left of a mapping may be two pieces; of the second no more is known if there is no room. */
void tagmem_forget_foreign(uint64_t start, uint64_t end) {
	for (struct foreign *one = mappings; one < mappings + mapping_max; one++) {
		if (one->end <= start || one->start >= end)
			continue;
		if (one->start < start && one->end > end)
			remember(one->file, end, one->end, one->offset + (end - one->start));
		if (one->start < start) {
			one->end = start;
		} else if (one->end > end) {
			one->offset += end - one->start;
			one->start = end;
		} else {
			drop(one);
		}
	}
}

static bool is_same_file(const struct foreign *one, const struct stat *status) {
	struct stat other;
	return one->end != 0 && tagmem_call(SYS_fstat, one->file, &other) == 0 && other.st_ino == status->st_ino &&
	       other.st_dev == status->st_dev;
}

/* As it was protected: the new pages are closed. */
static int protect(uint64_t start, uint64_t end) {
	int error = 0;
	while (start < end && !error) {
		unsigned bits;
		uint64_t next = tagmem_run_of(start, end, &bits);
		error = tagmem_map_backed_range(start, next, (int)(bits & (PROT_READ | PROT_WRITE | PROT_EXEC)));
		start = next;
	}
	return error;
}

/* What other threads store meanwhile may be lost. */
int tagmem_adopt_foreign(uint64_t at) {
	struct foreign *first = find(at), adopted[mapping_max];
	struct stat status;
	size_t count = 0;
	if (first == NULL)
		return EINVAL;
	long result = tagmem_call(SYS_fstat, first->file, &status);
	if (result < 0)
		return (int)-result;
	/* Two that are neighbours in a block are mapped as one. */
	for (struct foreign *one = mappings; one < mappings + mapping_max; one++) {
		if (!is_same_file(one, &status))
			continue;
		int error = tagmem_adopt_file(one->file, one->start, one->end, one->offset);
		if (error)
			return error;
		tagmem_note(one->start, one->end, 0, tagmem_foreign | tagmem_may_get_tags);
		adopted[count++] = *one;
		drop(one);
	}
	int error = 0;
	for (size_t i = 0; i < count && !error; i++)
		error = protect(adopted[i].start, adopted[i].end);
	return error;
}

int tagmem_move_foreign(uint64_t from, uint64_t to, uint64_t length, int protection) {
	const struct foreign *one = find(from);
	if (one == NULL || from % tagmem_block != to % tagmem_block)
		return ENOMEM;
	return tagmem_map_foreign(to, to + length, protection, one->file, one->offset + (from - one->start), true);
}
