/*
 * libc's functions on strings read whole vectors, past a string's end and at most to the end of its page: on a machine with
 * MTE they are others. So a load of a vector by libc's own code is no fault if a granule of the pointer's tag is
 * shortly before the one that differs. What it misses are reads of so few bytes past the end, by libc itself: instrumented
 * programs have functions that check exactly what they may read.
 */
#include "OverRead.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>

/* As far as they look ahead: four vectors of 32 bytes, after one that is not aligned. */
enum { reach = 160, least = 16, most = 64 };

static uintptr_t start, end;

static __attribute__((constructor(101))) void find_libc(void) {
	struct dl_find_object object;
	uintptr_t own = (uintptr_t)find_libc;
	if (_dl_find_object((void *)gnu_get_libc_version, &object) != 0) return;
	uintptr_t first = (uintptr_t)object.dlfo_map_start, last = (uintptr_t)object.dlfo_map_end;
	/* In a program without shared libraries nobody can tell which code is whose. */
	if (own >= first && own < last) return;
	start = first;
	end = last;
}

bool tagmem_is_over_read(struct tagmem_pointer pointer, uint64_t differs, size_t size, bool is_store) {
	uintptr_t at = tagmem_thread.access_at;
	if (is_store || size < least || size > most || at < start || at >= end) return false;
	uint64_t page = differs & ~(uint64_t)(tagmem_page - 1), granule = differs & ~(uint64_t)(TAGMEM_GRANULE - 1);
	uint64_t first = granule - page > reach ? granule - reach : page;
	while (granule > first) {
		granule -= TAGMEM_GRANULE;
		if (tagmem_tag_at(pointer.span, granule) == pointer.tag) return true;
	}
	return false;
}
