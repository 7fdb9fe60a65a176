/* The memory of ranges of the span: mapped, protected, zeroed, copied. */
#include "Environment.h"

uint64_t tagmem_run_of(uint64_t start, uint64_t end, unsigned *bits) {
	const uint8_t *pages = tagmem_environment->pages;
	uint64_t page = start >> tagmem_page_shift, last = end >> tagmem_page_shift, known = tagmem_environment->mapped_pages;
	*bits = pages[page];
	if (*bits == 0 && last > known)
		last = page > known ? page : known;
	while (page < last && pages[page] == *bits)
		page++;
	bool is_behind = *bits == 0 && page >= known;
	return is_behind ? end : page << tagmem_page_shift;
}

bool tagmem_is_mapped(uint64_t start, uint64_t end) {
	unsigned bits = 1;
	while (start < end && bits != 0)
		start = tagmem_run_of(start, end, &bits);
	return bits != 0;
}

uint64_t tagmem_changes;

static int set(uint64_t start, uint64_t end, int protection, bool is_shared) {
	struct tagmem_region region = {start, end, protection, is_shared};
	tagmem_changes++;
	tagmem_lock();
	int error = tagmem_set_region(tagmem_environment, &region);
	tagmem_unlock();
	return error;
}

/* Calls for each piece of an object that a range is in. */
static int for_places(uint64_t start, uint64_t end, int (*call)(const struct tagmem_object *, uint64_t, uint64_t)) {
	int error = 0;
	while (start < end && !error) {
		struct tagmem_backing place = tagmem_backing_of(start, end);
		if (place.object != NULL)
			error = call(place.object, place.offset, place.offset + place.length);
		start += place.length;
	}
	return error;
}

static int give(const struct tagmem_object *object, uint64_t start, uint64_t end) {
	tagmem_give_pages(object, start, end);
	return 0;
}

static bool is_accessible(int protection) { return (protection & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0; }

int tagmem_map_range(uint64_t start, uint64_t end, int protection, bool is_shared, bool reserves) {
	int error = 0;
	if (is_shared)
		error = tagmem_back_shared(start, end);
	else if (is_accessible(protection))
		error = tagmem_back_private(start, end);
	if (!error && !is_shared && is_accessible(protection) && reserves)
		error = for_places(start, end, tagmem_get_pages);
	if (!error)
		error = set(start, end, protection, is_shared);
	if (error) {
		if (!is_shared)
			for_places(start, end, give);
		tagmem_release_blocks(start, end);
	}
	return error;
}

static void count_adopted(uint64_t start, uint64_t end, int sign) {
	while (start < end) {
		struct tagmem_backing backing = tagmem_backing_of(start, end);
		tagmem_count_adopted(backing, sign);
		start += backing.length;
	}
}

int tagmem_map_shared_again(uint64_t from, uint64_t to, uint64_t length, int protection) {
	int error = tagmem_back_like(from, to, length);
	if (!error)
		error = set(to, to + length, protection, true);
	if (!error)
		count_adopted(to, to + length, 1);
	return error;
}

int tagmem_map_backed_range(uint64_t start, uint64_t end, int protection) { return set(start, end, protection, true); }

static int unmap_run(uint64_t start, uint64_t end, bool is_shared) {
	tagmem_changes++;
	tagmem_lock();
	int error = tagmem_remove_region(tagmem_environment, start, end);
	tagmem_unlock();
	if (error)
		return error;
	while (start < end) {
		uint64_t next = tagmem_end_of_notes(start, end);
		if (tagmem_notes_of(start) & tagmem_may_get_tags)
			tagmem_forget_foreign(start, next);
		if (tagmem_notes_of(start) & tagmem_foreign)
			error = tagmem_restore_pages(start, next);
		else if (!is_shared)
			for_places(start, next, give);
		else
			count_adopted(start, next, -1);
		tagmem_note(start, next, 0, tagmem_noted_max);
		start = next;
	}
	return error;
}

int tagmem_unmap_range(uint64_t start, uint64_t end) {
	int error = 0;
	for (uint64_t at = start, next; at < end && !error; at = next) {
		unsigned bits;
		next = tagmem_run_of(at, end, &bits);
		if (bits != 0)
			error = unmap_run(at, next, (bits & tagmem_mapped_shared) != 0);
	}
	tagmem_release_blocks(start, end);
	return error;
}

static int protect_run(uint64_t start, uint64_t end, unsigned bits, int protection) {
	bool is_shared = (bits & tagmem_mapped_shared) != 0;
	int error = 0;
	/* Memory that could not be used may have none. */
	if (!is_shared && !is_accessible((int)bits) && is_accessible(protection)) {
		error = tagmem_back_private(start, end);
		if (!error)
			error = for_places(start, end, tagmem_get_pages);
	}
	return error ? error : set(start, end, protection | (int)(bits & PROT_MTE), is_shared);
}

int tagmem_protect_range(uint64_t start, uint64_t end, int protection) {
	int error = 0;
	while (start < end && !error) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(start, tagmem_run_of(start, end, &bits));
		if (bits == 0)
			return ENOMEM;
		if (protection & PROT_MTE && tagmem_notes_of(start) & tagmem_foreign)
			error = tagmem_adopt_foreign(start);
		if (!error)
			error = protect_run(start, next, bits, protection);
		start = next;
	}
	return error;
}

void tagmem_clear_range(uint64_t start, uint64_t end) {
	while (start < end) {
		unsigned bits;
		uint64_t next = tagmem_end_of_notes(start, tagmem_run_of(start, end, &bits));
		/* Those of shared memory, and of files, are only forgotten by this process. */
		if (bits != 0 && !(bits & tagmem_mapped_shared) && !(tagmem_notes_of(start) & tagmem_foreign))
			for_places(start, next, give);
		start = next;
	}
}

static int copy_tags(uint64_t from, uint64_t to, uint64_t length) {
	const uint8_t *tags = tagmem_environment->tags;
	if (!(tagmem_environment->flags & TAGMEM_VIEWS))
		return tagmem_touch_copy((uint8_t *)tags + to / 32, tags + from / 32, length / 32) ? EFAULT : 0;
	while (length > 0) {
		struct tagmem_backing place = tagmem_backing_of(to, to + length);
		if (place.object == NULL)
			return EFAULT;
		long done = tagmem_call(SYS_pwrite64, place.object->tags, tags + from / 32, place.length / 32, place.offset / 32);
		if (done != (long)(place.length / 32))
			return done < 0 ? (int)-done : EIO;
		from += place.length, to += place.length, length -= place.length;
	}
	return 0;
}

int tagmem_copy_range(uint64_t from, uint64_t to, uint64_t length) {
	char *plain = tagmem_environment->plain;
	if (tagmem_touch_copy(plain + to, plain + from, length))
		return EFAULT;
	return copy_tags(from, to, length);
}
