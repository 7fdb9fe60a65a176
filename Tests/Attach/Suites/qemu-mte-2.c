/* A synchronous fault. After QEMU's mte-2. */
#include "suites.h"

int main(void) {
	begin();
	enter(mode_sync, nonzero_tags, 0);
	char *memory = map_kind((struct kind){0}, page_size);
	uint64_t excluded = 1;
	char *good = insert_random_tag(memory, excluded);
	excluded = __arm_mte_exclude_tag(good, excluded);
	expect_equal(excluded, 1 | 1u << pointer_tag(good));
	char *bad = insert_random_tag(memory, excluded);
	expect(good != bad && pointer_tag(bad) != 0);
	__arm_mte_set_tag(good);
	/* Before there is a handler. */
	*(volatile int *)good = 7;
	catch_faults(0);
	clear_fault();
	*(volatile int *)bad = 8;
	expect_fault(mode_sync, bad, false);
	expect_equal(*(volatile int *)good, 7);
	catch_faults(SA_EXPOSE_TAGBITS);
	(void)*(volatile int *)bad;
	expect_fault(mode_sync, bad, true);
	return finish();
}
