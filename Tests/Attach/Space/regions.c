/* What is mapped where in the environment's span, against a model; and what the kernel makes of it. */
#include "object.h"

enum { pages = 512, page = 4096, none = -1 };

static struct { int protection; bool is_shared; } model[pages];
static struct tagmem_span *span;
static uint32_t state = 3;

static uint32_t below(uint32_t limit) {
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(state >> 4) * limit >> 28);
}

static bool is_alike(int a, int b) {
	return model[a].protection == model[b].protection &&
	       (model[a].protection == none || model[a].is_shared == model[b].is_shared);
}

static void expect_region(int number, const struct tagmem_region *region) {
	int start = number, end = number + 1;
	while (start > 0 && is_alike(start - 1, number)) start--;
	while (end < pages && is_alike(end, number)) end++;
	expect_equal(region->start, (uint64_t)start * page);
	expect_equal(region->end, (uint64_t)end * page);
	expect_equal(region->protection, model[number].protection);
	expect_equal(region->is_shared, model[number].is_shared);
}

static void compare(void) {
	for (int i = 0; i < pages; i++) {
		struct tagmem_region region;
		bool is_mapped = tagmem_region_at(span, (uint64_t)i * page + below(page), &region);
		expect_equal(is_mapped, model[i].protection != none);
		if (is_mapped) expect_region(i, &region);
		unsigned bits = tagmem_page_of(span, (uint64_t)i * page);
		expect_equal(bits != 0, is_mapped);
		if (is_mapped) expect_equal(bits & 0x27, model[i].protection);
		int next = i;
		while (next < pages && model[next].protection == none) next++;
		bool has_next = tagmem_next_region(span, (uint64_t)i * page, &region);
		expect_equal(has_next, next < pages);
		if (has_next) expect_region(next, &region);
	}
	for (int i = 0; i < 20; i++) {
		int start = (int)below(pages), length = 1 + (int)below(40), end = pages - (int)below(100), at = start, count = 0;
		for (; at < end && count < length; at++) count = model[at].protection == none ? count + 1 : 0;
		uint64_t room = 1;
		bool has_room = tagmem_find_room(span, (uint64_t)start * page, (uint64_t)end * page, (uint64_t)length * page, &room);
		expect_equal(has_room, count == length);
		if (has_room && count == length) expect_equal(room, (uint64_t)(at - length) * page);
	}
}

static void test_model(void) {
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE };
	for (int i = 0; i < pages; i++) model[i].protection = none;
	for (int round = 0; round < 400; round++) {
		int start = (int)below(pages), count = 1 + (int)below(below(4) ? 8 : 200);
		if (count > pages - start) count = pages - start;
		uint64_t from = (uint64_t)start * page, to = from + (uint64_t)count * page;
		if (below(3) == 0) {
			expect_equal(tagmem_remove_region(span, from, to), 0);
			for (int i = start; i < start + count; i++) model[i].protection = none;
		} else {
			struct tagmem_region region = { from, to, protections[below(4)], below(4) == 0 };
			if (below(2)) region.protection |= PROT_MTE;
			expect_equal(tagmem_set_region(span, &region), 0);
			for (int i = start; i < start + count; i++) {
				model[i].protection = region.protection;
				model[i].is_shared = region.is_shared;
			}
		}
		if (round % 20 == 0) compare();
	}
	compare();
	/* And through every alias. */
	for (unsigned tag = 0; tag < 16; tag += 5) {
		for (int i = 0; i < pages; i++) {
			int protection = model[i].protection == none ? 0 : model[i].protection;
			bool can_load = protection & (PROT_READ | PROT_WRITE), can_store = protection & PROT_WRITE;
			char *byte = (char *)tagmem_with_tag((void *)(span->base + (uintptr_t)i * page), tag);
			expect_equal(load_signal(byte), can_load ? 0 : SIGSEGV);
			if (!can_load) expect_equal(caught.si_code, model[i].protection == none ? SEGV_MAPERR : SEGV_ACCERR);
			expect_equal(store_signal(byte, 1), can_store ? 0 : SIGSEGV);
		}
	}
	expect_equal(tagmem_remove_region(span, 0, TAGMEM_OBJECT_MAX), 0);
	struct tagmem_region region;
	expect(!tagmem_next_region(span, 0, &region));
}

static void test_closed(void) {
	char *pointer = tagmem_with_tag((void *)(span->base + 10 * page), 4);
	struct tagmem_region region = { 8 * page, 16 * page, PROT_READ | PROT_WRITE | PROT_MTE, false };
	expect_equal(tagmem_set_region(span, &region), 0);
	expect_equal(load_signal(pointer), 0);
	tagmem_close_page((uintptr_t)pointer);
	/* What is mapped otherwise meanwhile, stays closed, and opens as it is then. */
	region.protection = PROT_READ;
	expect_equal(tagmem_set_region(span, &region), 0);
	expect_equal(protection_of(pointer), PROT_NONE);
	expect_equal(protection_of(pointer + page), PROT_READ);
	tagmem_open_page((uintptr_t)pointer);
	expect_equal(load_signal(pointer), 0);
	expect_equal(store_signal(pointer, 1), SIGSEGV);
	expect_equal(tagmem_remove_region(span, 8 * page, 16 * page), 0);
	tagmem_close_page((uintptr_t)pointer);
	tagmem_open_page((uintptr_t)pointer);
	expect_equal(load_signal(pointer), SIGSEGV);
}

static void test_errors(void) {
	struct tagmem_region region = { 1, page, PROT_READ, false };
	expect_equal(tagmem_set_region(span, &region), EINVAL);
	region = (struct tagmem_region){ page, page, PROT_READ, false };
	expect_equal(tagmem_set_region(span, &region), EINVAL);
	region = (struct tagmem_region){ 0, TAGMEM_OBJECT_MAX + page, PROT_READ, false };
	expect_equal(tagmem_set_region(span, &region), EINVAL);
	expect_equal(tagmem_remove_region(span, 2 * page, page), EINVAL);
	expect_equal(tagmem_remove_region(span, 0, 100), EINVAL);
	expect(!tagmem_region_at(span, TAGMEM_OBJECT_MAX, &region));
	uint64_t room = 0;
	expect(!tagmem_find_room(span, 0, TAGMEM_OBJECT_MAX, TAGMEM_OBJECT_MAX + 1, &room));
	expect(tagmem_find_room(span, 0, TAGMEM_OBJECT_MAX, TAGMEM_OBJECT_MAX, &room) && room == 0);
	expect_equal(tagmem_page_of(span, TAGMEM_OBJECT_MAX), 0);
	expect_errno(tagmem_detach((void *)span->base), EINVAL);
}

/* More mappings than the kernel has: an errno, and what was mapped is as it was, in the aliases that were changed first, too. */
static void test_too_many(void) {
	struct tagmem_region region;
	int error = 0, count = 0;
	for (; count < pages / 2 * 100 && !error; count++) {
		uint64_t from = (uint64_t)count * 2 * page;
		region = (struct tagmem_region){ from, from + page, PROT_READ | PROT_MTE, false };
		error = tagmem_set_region(span, &region);
	}
	expect_equal(error, ENOMEM);
	uint64_t last = (uint64_t)(count - 1) * 2 * page;
	expect_equal(tagmem_page_of(span, last), 0);
	expect(!tagmem_region_at(span, last, &region));
	int protections[16];
	protections_of(span->base + last, protections);
	for (unsigned tag = 0; tag < 16; tag++) expect_equal(protections[tag], PROT_NONE);
	expect(tagmem_region_at(span, 0, &region));
	expect_equal(tagmem_remove_region(span, 0, TAGMEM_OBJECT_MAX), 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	catch_signals();
	set_size(object, pages * page);
	char *base = attach(object, 0);
	*base = 1;
	span = span_of(base);
	expect_equal(tagmem_become_environment(span), 0);
	struct tagmem_region region;
	expect(!tagmem_next_region(span, 0, &region));
	expect_equal(load_signal(base), SIGSEGV);
	test_model();
	test_closed();
	test_errors();
	/* So that it is in another alias that there are too many. */
	char *more = mmap(NULL, 64 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < 4; round++) {
		test_too_many();
		for (int i = 0; i < 3; i++) mprotect(more + (round * 6 + i * 2) * page, page, PROT_READ);
	}
	return finish();
}
