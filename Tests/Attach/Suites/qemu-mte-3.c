/* An asynchronous fault, which comes to a thread that makes no system call. After QEMU's mte-3. */
#include "suites.h"

#include <time.h>

static double now(void) {
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void) {
	begin();
	enter(mode_async, nonzero_tags, 0);
	catch_faults(SA_EXPOSE_TAGBITS);
	char *memory = map_kind((struct kind){0}, page_size);
	char *good = insert_random_tag(memory, 1);
	char *bad = insert_random_tag(memory, __arm_mte_exclude_tag(good, 1));
	__arm_mte_set_tag(good);
	*(volatile long *)good = 1;
	clear_fault();
	*(volatile long *)bad = 2;
	for (double start = now(); fault.count == 0 && now() - start < 20;)
		continue;
	/* It does not say where, whatever the handler asked for. */
	expect_fault(mode_async, bad, true);
	expect_equal(*(volatile long *)good, 2);
	/* One signal tells of it. */
	expect_no_fault();
	return finish();
}
