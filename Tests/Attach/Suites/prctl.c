/* PR_SET_TAGGED_ADDR_CTRL and PR_GET_…. After Linux's check_prctl. */
#include "suites.h"

static const unsigned long enable = PR_TAGGED_ADDR_ENABLE, with_sync = PR_MTE_TCF_SYNC,
			   with_async = PR_MTE_TCF_ASYNC,
			   store_only = PR_MTE_STORE_ONLY, mask_shift = PR_MTE_TAG_SHIFT;

static long get(void) { return prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0); }
static long set(unsigned long control) { return prctl(PR_SET_TAGGED_ADDR_CTRL, control, 0, 0, 0); }

/* A process begins with nothing. */
static void initial(void) { expect_equal(get(), 0); }

/* What is set can be got, to the bit. */
static void round_trips(void) {
	const unsigned long modes[] = {0,
				       with_sync,
				       with_async,
				       with_sync | with_async,
				       with_sync | store_only,
				       with_async | store_only,
				       with_sync | with_async | store_only};
	const unsigned long masks[] = {0, 1, nonzero_tags, 0x0ff0, all_tags};
	size_t count = has_store_only() ? 7 : 4;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < sizeof masks / sizeof *masks; j++) {
			for (int is_enabled = 0; is_enabled < 2; is_enabled++) {
				unsigned long control = modes[i] | masks[j] << mask_shift | (is_enabled ? enable : 0);
				expect_equal(set(control), 0);
				expect_equal(get(), control);
			}
		}
	}
}

/* What is refused changes nothing. */
static void refusals(void) {
	unsigned long before = enable | with_sync | (unsigned long)nonzero_tags << mask_shift;
	expect_equal(set(before), 0);
	for (int bit = 20; bit < 64; bit++)
		expect_errno(set(before | 1ul << bit), EINVAL);
	if (!has_store_only())
		expect_errno(set(before | store_only), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, before, 1, 0, 0), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, before, 0, 1, 0), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, before, 0, 0, 1), EINVAL);
	expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), EINVAL);
	expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 1, 0, 0), EINVAL);
	expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 1, 0), EINVAL);
	expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 1), EINVAL);
	expect_equal(get(), before);
}

/* What each mode does to a load and a store; both modes are what the processor prefers, here the asynchronous one. */
static void effects(void) {
	char *memory = map_kind((struct kind){0}, page_size), *bad = with_tag(set_tags(memory, page_size, 3), 4);
	const struct {
		unsigned long control;
		enum mode load, store;
	} cases[] = {{0, mode_none, mode_none},
		     {with_sync, mode_sync, mode_sync},
		     {with_async, mode_async, mode_async},
		     {with_sync | with_async, mode_async, mode_async},
		     {with_sync | store_only, mode_none, mode_sync},
		     {with_async | store_only, mode_none, mode_async},
		     {with_sync | with_async | store_only, mode_none, mode_async}};
	for (size_t i = 0; i < (has_store_only() ? 7 : 4); i++) {
		int before = check_failures;
		expect_equal(set(enable | cases[i].control), 0);
		expect_bad_load(cases[i].load, bad + i, false);
		expect_bad_store(cases[i].store, bad + i, false);
		if (check_failures != before)
			printf("that was with %#lx\n", cases[i].control);
	}
	munmap(memory, page_size);
}

int main(void) {
	begin();
	initial();
	catch_faults(0);
	expect((getauxval(AT_HWCAP2) & HWCAP2_MTE) != 0);
	round_trips();
	refusals();
	effects();
	return finish();
}
