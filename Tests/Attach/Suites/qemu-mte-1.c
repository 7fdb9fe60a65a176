/* Tags of pointers and of memory, unchecked. After QEMU's mte-1. */
#include "suites.h"

int main(void) {
	begin();
	enter(mode_none, nonzero_tags, 0);
	char *memory = map_kind((struct kind){0}, page_size);
	for (int i = 0; i < 64; i++) {
		char *tagged = insert_random_tag(memory, 1);
		expect(tagged != memory);
		expect(pointer_tag(tagged) != 0);
		expect_equal((uintptr_t)tagged & address_bits, (uintptr_t)memory & address_bits);
		expect_equal(__arm_mte_ptrdiff(memory, tagged), 0);
		expect_equal(__arm_mte_ptrdiff(tagged + 40, memory), 40);
		expect_equal(__arm_mte_ptrdiff(memory, tagged + 40), -40);
		__arm_mte_set_tag(tagged);
		expect(load_tag(memory) == tagged);
		expect(load_tag(tagged) == tagged);
		expect(load_tag(memory + 15) == tagged + 15);
		expect(load_tag(memory + granule_size) == memory + granule_size);
	}
	return finish();
}
