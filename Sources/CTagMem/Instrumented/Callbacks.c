/*
 * What compilers call before each access, with -fsanitize=kernel-address (gcc, clang) and kernel-hwaddress (clang).
 *
 * Instrumented code spends its time here. A check is a shift, two loads and a compare; what is not in a span is done
 * after the first load.
 */
#include "check.h"

#define CALLBACK __attribute__((visibility("default"), aligned(64))) void
#define RARE static __attribute__((noinline, cold)) void

/* An access of any size, when it is known to be in a span. It is called last, so it returns to where its callback does. */
static inline void check_all(uintptr_t address, size_t size, bool is_store) {
	const uint8_t *tags = tags_of(address);
	uintptr_t last = address + size - 1;
	if (size > 2 * TAGMEM_GRANULE ? tagmem_first_mismatch_between(tags, address, last + 1) <= last
				      : mismatches(tags, address) || mismatches(tags, last) ||
					    (size > TAGMEM_GRANULE && mismatches(tags, address + TAGMEM_GRANULE)))
		tagmem_mismatch(address, size, is_store, (uintptr_t)__builtin_return_address(0));
}

#define CALLBACKS_OF_SIZE(prefix, access, size, is_store) \
	RARE prefix##access##size(uintptr_t address) { check_all(address, size, is_store); } \
	CALLBACK prefix##_##access##size##_noabort(uintptr_t address) { \
		const uint8_t *tags = tags_of(address); \
		if (__builtin_expect(!tags, 0)) \
			return; \
		/* An aligned access is in one granule. */ \
		if (__builtin_expect((address & (size - 1)) || mismatches(tags, address), 0)) \
			prefix##access##size(address); \
	}

#define CALLBACKS(prefix, access, is_store) \
	CALLBACKS_OF_SIZE(prefix, access, 1, is_store) \
	CALLBACKS_OF_SIZE(prefix, access, 2, is_store) \
	CALLBACKS_OF_SIZE(prefix, access, 4, is_store) \
	CALLBACKS_OF_SIZE(prefix, access, 8, is_store) \
	CALLBACKS_OF_SIZE(prefix, access, 16, is_store) \
	CALLBACK prefix##_##access##N_noabort(uintptr_t address, size_t size) { \
		if (tags_of(address) && size > 0) \
			check_all(address, size, is_store); \
	}

CALLBACKS(__asan, load, false)
CALLBACKS(__asan, store, true)
CALLBACKS(__hwasan, load, false)
CALLBACKS(__hwasan, store, true)

/* What else they call, without need here: nothing is known of stacks, and nothing of globals. */
CALLBACK __asan_handle_no_return(void) {}
CALLBACK __asan_before_dynamic_init(const char *module) { (void)module; }
CALLBACK __asan_after_dynamic_init(void) {}
