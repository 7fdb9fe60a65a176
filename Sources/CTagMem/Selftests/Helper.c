/* The functions of Linux's mte_helper.S: Arm's instructions, for pointers with their tag in bits 59:56. */
#include <string.h>

#include <tagmem/arm_acle.h>
#include <tagmem/environment.h>

#define EXPORT __attribute__((visibility("default")))

enum { top_shift = 56 };

/* The pointer as Arm has it. With tag 0 it is the same in both forms. */
static void *as_on_arm(void *pointer) {
	uintptr_t address = (uintptr_t)pointer;
	if (address >> top_shift != 0 || !tagmem_is_attached(address))
		return pointer;
	return (void *)((uintptr_t)tagmem_strip(pointer) | (uintptr_t)tagmem_tag(pointer) << top_shift);
}

EXPORT void *mte_insert_random_tag(void *pointer) { return as_on_arm(tagmem_irg(pointer, 0)); }
EXPORT void *mte_insert_new_tag(void *pointer) { return as_on_arm(tagmem_irg(pointer, tagmem_gmi(pointer, 0))); }
EXPORT void *mte_get_tag_address(void *pointer) { return as_on_arm(tagmem_ldg(pointer)); }

/* One after the other where the range as a whole cannot be done: the instruction raises the signal. */
EXPORT void mte_set_tag_address_range(void *pointer, int range) {
	if (tagmem_set_tags(pointer, (size_t)range) == 0)
		return;
	for (int i = 0; i < range; i += TAGMEM_GRANULE)
		tagmem_stg((char *)pointer + i);
}

EXPORT void mte_clear_tag_address_range(void *pointer, int range) {
	if (tagmem_set_tags_zero(pointer, (size_t)range) == 0)
		return;
	for (int i = 0; i < range; i += TAGMEM_GRANULE) {
		tagmem_stg((char *)pointer + i);
		memset((char *)pointer + i, 0, TAGMEM_GRANULE);
	}
}

EXPORT void mte_enable_pstate_tco(void) { tagmem_set_tco(true); }
EXPORT void mte_disable_pstate_tco(void) { tagmem_set_tco(false); }
EXPORT unsigned int mte_get_pstate_tco(void) { return tagmem_tco(); }
