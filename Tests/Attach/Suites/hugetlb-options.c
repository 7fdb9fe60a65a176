/* Huge pages with tags. After Linux's check_hugetlb_options. */
#include "suites.h"

enum { huge_page = 2 << 20, tag = 5 };

/* NULL: there are none. Linux says ENOMEM then, and before 6.13 EINVAL, as they cannot have tags. */
static char *map_huge(bool by_mprotect) {
	int protection = by_mprotect ? read_write : read_write | PROT_MTE;
	char *memory = mmap(NULL, huge_page, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (memory == MAP_FAILED) {
		expect(errno == ENOMEM || errno == EINVAL);
		return NULL;
	}
	expect_equal((uintptr_t)memory % huge_page, 0);
	if (by_mprotect)
		expect_equal(mprotect(memory, huge_page, read_write | PROT_MTE), 0);
	return memory;
}

/* Some bytes of all parts of it, in all of their places in a granule. */
static void expect_bad_stores(enum mode mode, char *memory) {
	for (size_t i = 0; i < huge_page; i += huge_page / 16 - 1)
		expect_bad_store(mode, memory + i, false);
}

static void fill(enum mode mode, bool by_mprotect, bool is_cleared, bool has_tco) {
	enter(mode, nonzero_tags, 0);
	char *memory = map_huge(by_mprotect);
	expect_tags(memory, huge_page, 0);
	expect_bytes(memory, huge_page, 0);
	char *bytes = set_tags(memory, huge_page, tag);
	/* PROT_MTE is never removed. */
	if (is_cleared)
		expect_equal(mprotect(memory, huge_page, read_write), 0);
	clear_fault();
	memset(bytes, '1', huge_page);
	expect_no_fault();
	expect_bytes(bytes, huge_page, '1');
	expect_tags(memory, huge_page, tag);
	set_tco(has_tco);
	expect_bad_stores(has_tco ? mode_none : mode, memory);
	set_tco(false);
	expect_equal(munmap(memory, huge_page), 0);
}

static char *shared_bytes;
static enum mode child_mode;

static void in_child(void) {
	clear_fault();
	expect_bytes(shared_bytes, huge_page, 'p');
	expect_tags(shared_bytes, huge_page, tag);
	memset(shared_bytes, 'c', huge_page);
	expect_no_fault();
	expect_bad_stores(child_mode, with_tag(shared_bytes, tag + 1));
	set_tags(shared_bytes, granule_size, tag + 1);
}

static void child(enum mode mode, bool by_mprotect) {
	enter(mode, nonzero_tags, 0);
	char *memory = map_huge(by_mprotect);
	shared_bytes = set_tags(memory, huge_page, tag);
	child_mode = mode;
	memset(shared_bytes, 'p', huge_page);
	expect_equal(status_of(in_child), 0);
	expect_bytes(shared_bytes, huge_page, 'p');
	expect_tags(shared_bytes, huge_page, tag);
	expect_equal(munmap(memory, huge_page), 0);
}

/* It is not divided. */
static void parts(void) {
	char *memory = map_huge(false);
	expect_errno(munmap(memory, page_size), EINVAL);
	expect_errno(munmap(memory + page_size, huge_page - page_size), EINVAL);
	expect_errno(mprotect(memory + page_size, page_size, PROT_READ), EINVAL);
	memory[huge_page - 1] = 'x';
	expect(mremap(memory, huge_page, page_size, 0) == memory);
	expect_equal(memory[huge_page - 1], 'x');
	expect_errno(mremap(memory + page_size, page_size, page_size, 0), EINVAL);
	expect_equal(munmap(memory, huge_page), 0);
}

int main(void) {
	begin();
	catch_faults(0);
	char *memory = map_huge(false);
	if (memory == NULL) {
		printf("no huge pages with tags: %s\n", strerror(errno));
		return finish();
	}
	expect_equal(munmap(memory, huge_page), 0);
	fill(mode_sync, false, false, true);
	fill(mode_none, false, false, false);
	for (int by_mprotect = 0; by_mprotect < 2; by_mprotect++) {
		fill(mode_sync, by_mprotect, false, false);
		fill(mode_async, by_mprotect, false, false);
		fill(mode_sync, by_mprotect, true, false);
		child(mode_sync, by_mprotect);
		child(mode_async, by_mprotect);
	}
	parts();
	return finish();
}
