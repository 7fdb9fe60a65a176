/* The private memory of a process, copied to another main object: bytes, and tags where there are some. */
#include "Copying.h"

/* The pages of the object that the child needs, a bit each. */
static void mark(uint8_t *used, uint64_t start, uint64_t end) {
	while (start < end) {
		struct tagmem_backing backing = tagmem_backing_of(start, end);
		if (backing.object == &tagmem_objects[0]) {
			for (uint64_t page = 0; page < backing.length / tagmem_page; page++) {
				uint64_t at = backing.offset / tagmem_page + page;
				if (at < backing.object->size / tagmem_page)
					used[at / 8] |= (uint8_t)(1 << at % 8);
			}
		}
		start += backing.length;
	}
}

/* Calls for each range of private memory; `wants_all`: also what the child gets zeroed. */
static int for_private(bool wants_all, int (*call)(uint64_t, uint64_t, void *), void *argument) {
	const struct tagmem_span *span = tagmem_environment;
	uint64_t last = span->mapped_pages << tagmem_page_shift;
	int error = 0;
	for (uint64_t at = 0, next; at < last && !error; at = next) {
		unsigned bits, notes = tagmem_notes_of(at);
		next = tagmem_run_of(at, last, &bits);
		if (bits == 0 || bits & tagmem_mapped_shared)
			continue;
		next = tagmem_end_of_notes(at, next);
		unsigned unwanted = tagmem_foreign | tagmem_not_forked | (wants_all ? 0 : tagmem_wiped_on_fork);
		if (!(notes & unwanted))
			error = call(at, next, argument);
	}
	return error;
}

static int mark_range(uint64_t start, uint64_t end, void *used) {
	mark(used, start, end);
	return 0;
}

static int set_size(struct tagmem_object *object, uint64_t size) {
	long error = tagmem_call(SYS_ftruncate, object->mem, size);
	if (error == 0)
		object->size = size;
	return (int)-error;
}

/* Grows it by a hole, for which the device never has many pages to have. */
static int add_hole(struct tagmem_object *object, uint64_t end) {
	enum { step = 1 << 20 };
	int error = 0;
	while (object->size < end && !error) {
		uint64_t start = object->size;
		error = set_size(object, start + step < end ? start + step : end);
		if (!error)
			tagmem_give_pages(object, start, object->size);
	}
	return error;
}

/* The child's object reaches up to the last page that is used, and has pages where the parent uses some. */
int tagmem_size_copy(struct tagmem_object *object) {
	uint64_t pages = tagmem_objects[0].size / tagmem_page, length = pages / 8 + 1;
	long at = tagmem_call(SYS_mmap, 0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tagmem_call_failed(at))
		return (int)-at;
	uint8_t *used = (uint8_t *)at;
	for_private(true, mark_range, used);
	int error = object->size != 0 ? set_size(object, 0) : 0;
	for (uint64_t page = 0; page < pages && !error;) {
		while (page < pages && !(used[page / 8] >> page % 8 & 1))
			page++;
		if (page == pages)
			break;
		/* A few pages are not worth the requests. */
		if (page * tagmem_page - object->size >= tagmem_block)
			error = add_hole(object, page * tagmem_page);
		while (page < pages && used[page / 8] >> page % 8 & 1)
			page++;
		if (!error)
			error = set_size(object, page * tagmem_page);
	}
	if (!error && object->size % tagmem_block != 0)
		error = set_size(object, tagmem_round_up(object->size, tagmem_block));
	tagmem_call(SYS_munmap, used, length);
	return error;
}

static int write_all(int file, const void *bytes, uint64_t length, uint64_t offset) {
	enum { most = 1 << 20 };
	while (length > 0) {
		long done = tagmem_call(SYS_pwrite64, file, bytes, length < most ? length : most, offset);
		if (done == -EINTR)
			continue;
		if (done <= 0)
			return done == 0 ? EIO : (int)-done;
		bytes = (const char *)bytes + done;
		length -= (uint64_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

static int copy_range(uint64_t start, uint64_t end, void *object) {
	const struct tagmem_object *to = object;
	bool has_tags = (tagmem_environment->pages[start >> tagmem_page_shift] & PROT_MTE) != 0;
	int error = 0;
	while (start < end && !error) {
		struct tagmem_backing backing = tagmem_backing_of(start, end);
		bool has_memory = backing.object == &tagmem_objects[0] && backing.offset < to->size;
		uint64_t length = backing.length;
		if (has_memory && backing.offset + length > to->size)
			length = to->size - backing.offset;
		if (has_memory)
			error = write_all(to->mem, tagmem_environment->plain + start, length, backing.offset);
		if (has_memory && has_tags && !error)
			error = write_all(to->tags, tagmem_environment->tags + start / 32, length / 32, backing.offset / 32);
		start += backing.length;
	}
	return error;
}

int tagmem_make_room(struct tagmem_object *object) {
	int error = tagmem_make_object(object);
	if (error)
		return error;
	error = tagmem_size_copy(object);
	if (error)
		tagmem_remove_object(object);
	return error;
}

int tagmem_copy_private(struct tagmem_object *object) { return for_private(false, copy_range, object); }
