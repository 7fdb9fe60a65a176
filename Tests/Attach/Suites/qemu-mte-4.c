/* Tags of several pages, read again. After QEMU's mte-4. */
#include "suites.h"

enum { size = 4 * page_size };

int main(void) {
	begin();
	enter(mode_async, nonzero_tags, 0);
	catch_faults(0);
	clear_fault();
	char *memory = map_kind((struct kind){0}, size + page_size);
	for (int round = 0; round < 3; round++) {
		char *tagged = insert_random_tag(memory, 1);
		for (size_t i = 0; i < size; i += granule_size)
			__arm_mte_set_tag(tagged + i);
		for (size_t i = 0; i < size; i += granule_size)
			expect(load_tag(memory + i) == tagged + i);
		expect_tags(memory + size, page_size, 0);
	}
	/* Each granule its own. */
	for (size_t i = 0; i < size / granule_size; i++)
		__arm_mte_set_tag((char *)with_tag(memory + i * granule_size, i * 7 & 15));
	for (size_t i = 0; i < size / granule_size; i++)
		expect_equal(memory_tag(memory + i * granule_size), i * 7 & 15);
	expect_bytes(memory + size, page_size, 0);
	expect_no_fault();
	return finish();
}
