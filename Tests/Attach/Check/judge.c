/* Whether an access may be done: modes, addresses, pages, protections, both forms of a pointer; against a model. */
#include "../Space/object.h"

#include <linux/prctl.h>

#ifndef PR_MTE_STORE_ONLY
#define PR_MTE_STORE_ONLY (1ul << 19)
#endif

enum { size = 1 << 18, page = 4096, load = false, store = true };

static char *base;
static uint8_t model[size / 16];

static uintptr_t at(uint64_t offset, unsigned tag) { return (uintptr_t)tagmem_with_tag(base + offset, tag); }

/* The pointer as programs have it that compute with bits 59:56. */
static uintptr_t upper(uintptr_t address) {
	return (address & ~TAGMEM_TAG_MASK) | (address & TAGMEM_TAG_MASK) << (56 - TAGMEM_TAG_SHIFT);
}

static void set_control(unsigned long control) {
	tagmem_thread.has_control = true;
	tagmem_thread.control = control;
}

static void expect_judged(uintptr_t address, size_t length, bool is_store, enum tagmem_verdict verdict, uintptr_t fault) {
	struct tagmem_judgement judgement = tagmem_judge(address, length, is_store, false);
	expect_equal(judgement.verdict, verdict);
	if (judgement.verdict != TAGMEM_ALLOWED) expect_equal(judgement.address, fault);
}

static void test_addresses(void) {
	set_control(PR_MTE_TCF_SYNC);
	expect_equal(tagmem_set_tags((void *)at(0, 5), 2 * page), 0);
	expect_equal(tagmem_set_tags((void *)at(64, 6), 16), 0);
	expect_equal(tagmem_set_tags((void *)at(page, 7), 16), 0);
	for (int is_store = 0; is_store < 2; is_store++) {
		/* The first byte, if its granule is a bad one; otherwise the bad granule. */
		expect_judged(at(67, 5), 1, is_store, TAGMEM_TAG_FAULT, at(67, 5));
		expect_judged(at(67, 5), 64, is_store, TAGMEM_TAG_FAULT, at(67, 5));
		expect_judged(at(60, 5), 4, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(at(60, 5), 5, is_store, TAGMEM_TAG_FAULT, at(64, 5));
		expect_judged(at(1, 5), 64, is_store, TAGMEM_TAG_FAULT, at(64, 5));
		expect_judged(at(79, 6), 1, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(at(79, 6), 2, is_store, TAGMEM_TAG_FAULT, at(80, 6));
		expect_judged(at(64, 6), 16, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(at(63, 6), 1, is_store, TAGMEM_TAG_FAULT, at(63, 6));
		/* Over the end of a page. */
		expect_judged(at(page - 4, 5), 8, is_store, TAGMEM_TAG_FAULT, at(page, 5));
		expect_judged(at(page - 4, 7), 8, is_store, TAGMEM_TAG_FAULT, at(page - 4, 7));
		expect_judged(at(page, 7), 16, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(at(page, 7), 17, is_store, TAGMEM_TAG_FAULT, at(page + 16, 7));
		expect_judged(at(128, 5), size, is_store, TAGMEM_TAG_FAULT, at(page, 5));
		/* The other form keeps it. */
		expect_judged(upper(at(60, 5)), 5, is_store, TAGMEM_TAG_FAULT, upper(at(64, 5)));
		expect_judged(upper(at(60, 5)), 4, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(upper(at(60, 5)) | (uintptr_t)0xf << 60, 4, is_store, TAGMEM_ALLOWED, 0);
		expect_judged(upper(at(60, 5)) | (uintptr_t)3 << TAGMEM_TAG_SHIFT, 4, is_store, TAGMEM_ALLOWED, 0);
		/* No bytes, no fault. */
		expect_judged(at(67, 5), 0, is_store, TAGMEM_ALLOWED, 0);
	}
	expect_equal(tagmem_judge(at(60, 5), 5, load, false).allocation_tag, 6);
}

/* No mismatch is a fault, one is, or one is told later. */
static void expect_mode(enum tagmem_verdict loads, enum tagmem_verdict stores) {
	expect_judged(at(64, 5), 8, load, loads, at(64, 5));
	expect_judged(at(64, 5), 8, store, stores, at(64, 5));
	expect_judged(at(64, 6), 8, load, TAGMEM_ALLOWED, 0);
	expect_judged(at(64, 6), 8, store, TAGMEM_ALLOWED, 0);
}

static void test_modes(void) {
	enum tagmem_verdict done = TAGMEM_ALLOWED, fault = TAGMEM_TAG_FAULT, later = TAGMEM_ALLOWED_DEFERRED;
	unsigned long both = PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC;
	tagmem_thread.has_control = false;
	expect_mode(fault, fault);
	set_control(PR_MTE_TCF_NONE);
	expect_mode(done, done);
	set_control(0x7fff0); /* a mask alone */
	expect_mode(done, done);
	set_control(PR_MTE_TCF_SYNC | PR_TAGGED_ADDR_ENABLE | 0x7fff0);
	expect_mode(fault, fault);
	set_control(PR_MTE_TCF_ASYNC);
	expect_mode(later, later);
	set_control(both);
	expect_mode(later, later);
	unsigned long preferred = tagmem_preferred;
	tagmem_preferred = PR_MTE_TCF_SYNC;
	expect_mode(fault, fault);
	tagmem_preferred = both;
	expect_mode(fault, later);
	set_control(both | PR_MTE_STORE_ONLY);
	expect_mode(done, later);
	/* What a thread prefers does not matter to one that asks for one only. */
	set_control(PR_MTE_TCF_SYNC);
	expect_mode(fault, fault);
	tagmem_preferred = preferred;
	set_control(PR_MTE_TCF_SYNC | PR_MTE_STORE_ONLY);
	expect_mode(done, fault);
	set_control(PR_MTE_TCF_ASYNC | PR_MTE_STORE_ONLY);
	expect_mode(done, later);
	set_control(PR_MTE_STORE_ONLY);
	expect_mode(done, done);
	set_control(PR_MTE_TCF_SYNC);
	tagmem_thread.tco = true;
	expect_mode(done, done);
	tagmem_thread.tco = false;
	expect_mode(fault, fault);
}

static void test_outside(void) {
	static char local[64];
	set_control(PR_MTE_TCF_SYNC);
	expect_judged((uintptr_t)local, 8, store, TAGMEM_OUTSIDE, (uintptr_t)local);
	expect_judged(0, 8, load, TAGMEM_OUTSIDE, 0);
	expect_judged((uintptr_t)-8, 8, load, TAGMEM_OUTSIDE, (uintptr_t)-8);
	expect_judged((uintptr_t)-8, 64, load, TAGMEM_OUTSIDE, (uintptr_t)-8);
	expect_judged((uintptr_t)base | (uintptr_t)1 << 50, 8, load, TAGMEM_OUTSIDE, (uintptr_t)base | (uintptr_t)1 << 50);
	/* From outside into a span: its part counts. */
	expect_equal(tagmem_set_tags((void *)at(0, 0), 32), 0);
	expect_judged((uintptr_t)base - 4, 8, load, TAGMEM_ALLOWED, 0);
	expect_judged((uintptr_t)base - 4, 4, load, TAGMEM_OUTSIDE, (uintptr_t)base - 4);
	expect_judged((uintptr_t)base - 4, 64, load, TAGMEM_TAG_FAULT, at(32, 0));
	/* Behind the object, and behind the alias. */
	expect_judged(at(size, 0), 1, load, TAGMEM_GONE, at(size, 0));
	expect_judged(at(size - 4, 0), 8, load, TAGMEM_GONE, at(size, 0));
	expect_judged(at(size - 4, 3), 8, load, TAGMEM_GONE, at(size, 3));
	expect_judged(at(TAGMEM_OBJECT_MAX - 4, 3), 8, load, TAGMEM_GONE, at(TAGMEM_OBJECT_MAX - 4, 3));
}

static uint32_t state = 7;
static uint32_t below(uint32_t limit) {
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(state >> 4) * limit >> 28);
}

/* Long and short ranges in memory in which tags are rarely different, against a loop over bytes. */
static void test_model(void) {
	set_control(PR_MTE_TCF_SYNC);
	for (int i = 0; i < size / 16; i++) model[i] = below(60) ? 3 : (uint8_t)below(16);
	expect_equal(tagmem_store_tags(base, model, size / 16), 0);
	for (int round = 0; round < 20000; round++) {
		uint32_t start = below(size - 1), length = below(8) ? 1 + below(80) : 1 + below(20000);
		unsigned tag = below(8) ? 3 : below(16);
		if (length > size - start) length = size - start;
		uintptr_t pointer = at(start, tag), expected = 0;
		for (uint32_t i = start; i < start + length && !expected; i++) {
			if (model[i / 16] != tag) expected = pointer + (i - start);
		}
		if (round & 1 && tag) {
			pointer = upper(pointer);
			if (expected) expected = upper(expected);
		}
		struct tagmem_judgement judgement = tagmem_judge(pointer, length, below(2), false);
		uintptr_t mismatch = (uintptr_t)tagmem_first_mismatch((void *)pointer, length);
		bool is_right = judgement.verdict == (expected ? TAGMEM_TAG_FAULT : TAGMEM_ALLOWED) && mismatch == expected &&
				(!expected || judgement.address == expected);
		if (is_right) continue;
		printf("%u bytes at 0x%lx: verdict %d at 0x%lx, mismatch 0x%lx, not 0x%lx\n", length, pointer, judgement.verdict,
		       judgement.address, mismatch, expected);
		check_failures++;
		return;
	}
	expect_equal((uintptr_t)tagmem_first_mismatch("outside", 4), 0);
	expect_equal((uintptr_t)tagmem_first_mismatch((void *)at(size, 0), 4), 0);
}

/* What is mapped comes before what has another tag; memory without PROT_MTE is not checked. */
static void test_regions(void) {
	struct tagmem_span *span = span_of(base);
	expect_equal(tagmem_set_tags((void *)at(0, 5), 16 * page), 0);
	expect_equal(tagmem_become_environment(span), 0);
	struct tagmem_region regions[] = {
		{ 0, page, PROT_READ | PROT_WRITE | PROT_MTE, false },
		{ page, 2 * page, PROT_READ | PROT_MTE, false },
		{ 2 * page, 3 * page, PROT_READ | PROT_WRITE, true },
		{ 3 * page, 4 * page, PROT_NONE | PROT_MTE, false },
		{ 5 * page, 6 * page, PROT_WRITE | PROT_MTE, false },
	};
	for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) expect_equal(tagmem_set_region(span, &regions[i]), 0);
	set_control(PR_MTE_TCF_SYNC);
	expect_judged(at(0, 5), page, store, TAGMEM_ALLOWED, 0);
	expect_judged(at(0, 4), 1, store, TAGMEM_TAG_FAULT, at(0, 4));
	expect_judged(at(page, 5), page, load, TAGMEM_ALLOWED, 0);
	expect_judged(at(page, 4), 8, load, TAGMEM_TAG_FAULT, at(page, 4));
	expect_judged(at(page, 4), 8, store, TAGMEM_PROTECTED, at(page, 4));
	expect_judged(at(page - 4, 4), 8, store, TAGMEM_PROTECTED, at(page, 4));
	expect_judged(at(page - 4, 4), 8, load, TAGMEM_TAG_FAULT, at(page - 4, 4));
	expect_judged(at(2 * page, 9), page, store, TAGMEM_ALLOWED, 0);
	expect_judged(at(2 * page - 4, 5), 8, load, TAGMEM_ALLOWED, 0);
	expect_judged(at(3 * page, 5), 8, load, TAGMEM_PROTECTED, at(3 * page, 5));
	expect_judged(at(4 * page, 5), 8, load, TAGMEM_UNMAPPED, at(4 * page, 5));
	expect_judged(at(4 * page - 4, 5), 8, load, TAGMEM_PROTECTED, at(4 * page - 4, 5));
	expect_judged(upper(at(5 * page - 4, 5)), 8, load, TAGMEM_UNMAPPED, upper(at(5 * page - 4, 5)));
	expect_judged(at(5 * page, 5), 8, load, TAGMEM_ALLOWED, 0);
	expect_judged(at(5 * page, 6), 8, load, TAGMEM_TAG_FAULT, at(5 * page, 6));
	/* Of many accesses in a row the first. */
	expect_judged(at(4 * page - 64, 5), 64, load, TAGMEM_PROTECTED, at(4 * page - 64, 5));
	expect_judged(at(16, 5), 6 * page, load, TAGMEM_PROTECTED, at(3 * page, 5));
	set_outside_tags(page + 32, 16, '8');
	expect_judged(at(16, 5), 6 * page, load, TAGMEM_TAG_FAULT, at(page + 32, 5));
	expect_judged(at(16, 5), 6 * page, store, TAGMEM_PROTECTED, at(page, 5));
	expect_judged(at(TAGMEM_OBJECT_MAX - 4, 5), 8, load, TAGMEM_UNMAPPED, at(TAGMEM_OBJECT_MAX - 4, 5));
	expect_equal((uintptr_t)tagmem_first_mismatch((void *)at(2 * page, 9), 2 * page), at(3 * page, 9));
	tagmem_thread.has_control = false;
	expect_judged(at(0, 4), 1, store, TAGMEM_ALLOWED, 0);
	expect_judged(at(page, 4), 8, store, TAGMEM_PROTECTED, at(page, 4));
	expect_equal(tagmem_remove_region(span, 0, TAGMEM_OBJECT_MAX), 0);
	expect_judged(at(0, 5), 1, load, TAGMEM_UNMAPPED, at(0, 5));
	span->is_environment = false;
}

int main(int count, char **arguments) {
	begin(count, arguments);
	set_size(object, size);
	base = attach(object, 0);
	test_addresses();
	test_modes();
	test_outside();
	test_model();
	test_regions();
	tagmem_thread.has_control = false;
	expect_equal(tagmem_detach(base), 0);
	base = attach(object, TAGMEM_VIEWS);
	test_addresses();
	test_modes();
	test_outside();
	test_model();
	return finish();
}
