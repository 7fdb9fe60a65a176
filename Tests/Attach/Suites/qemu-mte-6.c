/* Memory of the program's heap. After QEMU's mte-6. */
#include "suites.h"

int main(void) {
	begin();
	enter(mode_sync, nonzero_tags, 0);
	catch_faults(0);
	/* mprotect is for whole pages. */
	sbrk((intptr_t)(-(uintptr_t)sbrk(0) & (page_size - 1)));
	char *memory = sbrk(page_size);
	expect((uintptr_t)memory % page_size == 0);
	expect_equal(mprotect(memory, granule_size, read_write | PROT_MTE), 0);
	expect_tags(memory, page_size, 0);
	char *good = insert_random_tag(memory, 1);
	char *bad = insert_random_tag(memory, __arm_mte_exclude_tag(good, 1));
	__arm_mte_set_tag(good);
	expect_good_store(good);
	expect_bad_store(mode_sync, bad, false);
	expect_bad_store(mode_sync, memory, false);
	expect_good_store(memory + granule_size);
	/* It is gone with the memory. */
	expect(sbrk(-page_size) == memory + page_size);
	expect(sbrk(page_size) == memory);
	expect_equal(mprotect(memory, page_size, read_write | PROT_MTE), 0);
	expect_tags(memory, page_size, 0);
	expect_bytes(memory, page_size, 0);
	return finish();
}
