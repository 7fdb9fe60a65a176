/* An access that begins in a granule with its tag and goes on in one with another. After QEMU's mte-5. */
#include "suites.h"

int main(void) {
	begin();
	enter(mode_sync, nonzero_tags, 0);
	catch_faults(SA_EXPOSE_TAGBITS);
	char *memory = map_kind((struct kind){0}, page_size);
	char *first = insert_random_tag(memory, 1);
	char *second = insert_random_tag(memory, __arm_mte_exclude_tag(first, 1));
	__arm_mte_set_tag(first);
	__arm_mte_set_tag(second + granule_size);
	/* Behind the last byte that is good: the fault is where the next granule begins. */
	for (int at = 9; at < granule_size; at++) {
		clear_fault();
		(void)load_word(first + at);
		expect_fault(mode_sync, first + granule_size, true);
		expect_bad_word(mode_sync, first + at, first + granule_size, true);
		/* The other way round it is at the first byte. */
		expect_bad_word(mode_sync, second + at, second + at, true);
	}
	clear_fault();
	store_word(first + 8, 1);
	expect_equal(load_word(first + 8), 1);
	store_word(second + granule_size, 2);
	expect_equal(load_word(second + granule_size), 2);
	expect_no_fault();
	expect_bad_word(mode_sync, first + granule_size, first + granule_size, true);
	return finish();
}
