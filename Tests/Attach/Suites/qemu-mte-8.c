/* Memory that gets its tags by mprotect, in the mode that the processor prefers. After QEMU's mte-8. */
#include "suites.h"

int main(void) {
	begin();
	expect((getauxval(AT_HWCAP2) & HWCAP2_MTE) != 0);
	expect_equal(set_mode(PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC, nonzero_tags), 0);
	catch_faults(0);
	clear_fault();
	unsigned char *memory = mmap(NULL, page_size, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(memory != MAP_FAILED);
	memory[2] = 3;
	expect_equal(mprotect(memory, page_size, read_write | PROT_MTE), 0);
	memory[0] = 1;
	memory[1] = 2;
	expect(memory[0] == 1 && memory[1] == 2 && memory[2] == 3);
	unsigned char *tagged = insert_random_tag(memory, 0);
	expect(pointer_tag(tagged) != 0);
	__arm_mte_set_tag(tagged);
	expect(tagged[0] == 1 && tagged[1] == 2 && tagged[2] == 3);
	tagged[0] = 3;
	tagged[granule_size - 1] = 5;
	expect_no_fault();
	expect_bad_store(mode_async, (char *)memory, false);
	expect_bad_store(mode_async, (char *)tagged + granule_size, false);
	expect_bad_load(mode_async, (char *)tagged + granule_size, false);
	/* Until it is the other mode. */
	enter(mode_sync, nonzero_tags, 0);
	expect_bad_store(mode_sync, (char *)tagged + granule_size, false);
	return finish();
}
