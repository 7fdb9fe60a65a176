/* The public functions for tags of memory. */
#include "Tags.h"

#include <errno.h>
#include <sys/mman.h>

/* As many of `count` granules from the pointer's as are in pages that have tags and, to store, may be written; and the
 * errno of what follows them, 0 if nothing does. */
struct reach {
	struct tagmem_granules granules;
	unsigned tag;
	int error;
};

static struct reach reach_of(const void *pointer, uint64_t count, bool is_store) {
	struct tagmem_pointer where = tagmem_pointer_of((uintptr_t)pointer);
	struct reach reach = { { where.span, where.offset / TAGMEM_GRANULE, 0 }, where.tag, EFAULT };
	if (!where.span) return reach;
	uint64_t at = reach.granules.first * TAGMEM_GRANULE, end = at + count * TAGMEM_GRANULE;
	if (count > (TAGMEM_OBJECT_MAX - at) / TAGMEM_GRANULE) end = TAGMEM_OBJECT_MAX + 1;
	while (at < end) {
		unsigned bits = tagmem_page_of(where.span, at);
		if (!(bits & PROT_MTE)) break;
		if (is_store && !(bits & PROT_WRITE)) {
			reach.error = EACCES;
			break;
		}
		at = (at | (tagmem_page - 1)) + 1;
	}
	if (at >= end) {
		reach.error = 0;
		at = end;
	}
	reach.granules.count = at / TAGMEM_GRANULE - reach.granules.first;
	return reach;
}

static int result_of(int error, const struct reach *reach) {
	if (!error) error = reach->error;
	if (!error) return 0;
	errno = error;
	return -1;
}

int tagmem_get_tag(const void *pointer) {
	uint8_t tag;
	return tagmem_load_tags(pointer, &tag, 1) == 0 ? tag : -1;
}

int tagmem_load_tags(const void *pointer, uint8_t *tags, size_t count) {
	struct reach reach = reach_of(pointer, count, false);
	return result_of(tagmem_load_straight(reach.granules, tags), &reach);
}

int tagmem_store_tags(const void *pointer, const uint8_t *tags, size_t count) {
	for (size_t i = 0; i < count; i++) {
		if (tags[i] > 15) {
			errno = EINVAL;
			return -1;
		}
	}
	struct reach reach = reach_of(pointer, count, true);
	bool is_views = reach.granules.span && reach.granules.span->flags & TAGMEM_VIEWS;
	int error = is_views ? tagmem_store_by_request(reach.granules, tags) : tagmem_store_straight(reach.granules, tags);
	return result_of(error, &reach);
}

static int fill_straight(struct tagmem_granules granules, uint8_t tag, bool zero) {
	char *bytes = granules.span->plain + granules.first * TAGMEM_GRANULE;
	if (zero && tagmem_touch_fill(bytes, 0, granules.count * TAGMEM_GRANULE)) return EFAULT;
	return tagmem_fill_straight(granules, tag);
}

static int fill(const void *pointer, size_t length, bool zero) {
	if (length % TAGMEM_GRANULE) {
		errno = EINVAL;
		return -1;
	}
	struct reach reach;
	/* What is in one page, as most is. */
	uintptr_t address = (uintptr_t)pointer;
	if (length <= tagmem_page - address % tagmem_page && tagmem_straight(address)) {
		struct tagmem_pointer where = tagmem_pointer_of(address);
		reach = (struct reach){ { where.span, where.offset / TAGMEM_GRANULE, length / TAGMEM_GRANULE }, where.tag, 0 };
		return result_of(fill_straight(reach.granules, (uint8_t)reach.tag, zero), &reach);
	}
	reach = reach_of(pointer, length / TAGMEM_GRANULE, true);
	struct tagmem_granules granules = reach.granules;
	if (!granules.count) return result_of(0, &reach);
	if (granules.span->flags & TAGMEM_VIEWS) {
		return result_of(tagmem_fill_by_request(granules, (uint8_t)reach.tag, zero), &reach);
	}
	return result_of(fill_straight(granules, (uint8_t)reach.tag, zero), &reach);
}

int tagmem_set_tags_of_range(const void *pointer, size_t length) { return fill(pointer, length, false); }

int tagmem_set_tags_zero(void *pointer, size_t length) { return fill(pointer, length, true); }
