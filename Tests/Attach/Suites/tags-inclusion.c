/* The tags that IRG may choose from. After Linux's check_tags_inclusion. */
#include "suites.h"

enum { buffer_size = 5 * granule_size, draws = 400 };

/* IRG chooses all of the included tags and no other, 0 if there are none; memory with each is as any. */
static void included(enum mode mode, unsigned included) {
	enter(mode, included, 0);
	char *memory = map_kind((struct kind){0}, buffer_size + granule_size);
	unsigned seen = 0, expected = included != 0 ? included : 1;
	for (int i = 0; i < draws; i++)
		seen |= 1u << pointer_tag(insert_random_tag(memory, 0));
	expect_equal(seen, expected);
	for (unsigned tag = 0; tag < tag_count; tag++) {
		if (!(seen >> tag & 1))
			continue;
		char *bytes = set_tags(memory, buffer_size, tag);
		clear_fault();
		memset(bytes, '1', buffer_size);
		expect_no_fault();
		expect_bytes(bytes, buffer_size, '1');
		expect_tags(bytes, buffer_size, tag);
		expect_equal(memory_tag(bytes + buffer_size), 0);
		if (tag != 0)
			expect_bad_store(mode, bytes + buffer_size, false);
		else
			expect_good_store(bytes + buffer_size);
	}
	/* With a mask of the instruction's own on top. */
	unsigned left = included & 0xff00;
	seen = 0;
	for (int i = 0; i < draws; i++) {
		seen |= 1u << pointer_tag(insert_random_tag(memory, 0x00ff));
		expect_equal(pointer_tag(insert_random_tag(memory, all_tags)), 0);
	}
	expect_equal(seen, left != 0 ? left : 1);
	expect_equal(munmap(memory, buffer_size + granule_size), 0);
}

int main(void) {
	begin();
	catch_faults(0);
	/* All but one. */
	for (unsigned tag = 0; tag < tag_count; tag++)
		included(mode_sync, all_tags ^ 1u << tag);
	/* One alone. */
	for (unsigned tag = 0; tag < tag_count; tag++)
		included(mode_async, 1u << tag);
	/* Ever fewer. */
	for (unsigned tag = 0; tag < tag_count - 1; tag++)
		included(mode_sync, all_tags & ~0u << (tag + 1));
	included(mode_sync, 0);
	included(mode_sync, all_tags);
	return finish();
}
