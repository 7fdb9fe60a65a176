/* An access over the end of a page. After QEMU's mte-7. */
#include "suites.h"

int main(void) {
	begin();
	enter(mode_sync, nonzero_tags, 0);
	catch_faults(SA_EXPOSE_TAGBITS);
	char *memory = map_kind((struct kind){0}, 2 * page_size);
	char *end = with_tag(memory + page_size, 1);
	set_tags(end - granule_size, 2 * granule_size, 1);
	expect_tags(memory, page_size - granule_size, 0);
	expect_tags(memory + page_size - granule_size, 2 * granule_size, 1);
	for (int before = 0; before <= 8; before++) {
		clear_fault();
		store_word(end - before, 0x0102030405060708 + (uint64_t)before);
		expect_equal(load_word(end - before), 0x0102030405060708 + (uint64_t)before);
		expect_no_fault();
	}
	/* The tag in bits 59:56. */
	char *as_arm = with_address_tag(end, 0);
	store_word(as_arm - 4, 9);
	expect_equal(load_word(end - 4), 9);
	expect_no_fault();
	/* The next page has another one: the fault is where it begins. The page before: it is at the first byte. */
	set_tags(memory + page_size, granule_size, 2);
	for (int before = 1; before < 8; before++) {
		expect_bad_word(mode_sync, end - before, end, true);
		expect_bad_word(mode_sync, (char *)with_tag(end, 2) - before, (char *)with_tag(end, 2) - before, true);
		expect_bad_word(mode_sync, with_address_tag(end, 0) - before, with_address_tag(end, 0), true);
	}
	return finish();
}
