/* mmap and kin, as Linux has them on a machine with MTE. */
#include "environment.h"

#include <setjmp.h>

static char *map(size_t size, int protection, int flags) {
	char *pointer = mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);
	expect(pointer != MAP_FAILED);
	return pointer;
}

static void expect_zero(const char *pointer, size_t size) {
	for (size_t i = 0; i < size; i++) {
		if (pointer[i] != 0) {
			expect_equal(pointer[i], 0);
			expect_equal(i, -1);
			return;
		}
	}
}

static void expect_tags(const char *pointer, size_t size, int tag) {
	for (size_t i = 0; i < size; i += 16) {
		if (tagmem_get_tag(pointer + i) != tag) {
			expect_equal(tagmem_get_tag(pointer + i), tag);
			expect_equal(i, -1);
			return;
		}
	}
}

static bool has_tags(const char *pointer) { return tagmem_get_tag(pointer) >= 0; }

static void fresh(void) {
	char *memory = map(4 * page, read_write | PROT_MTE, MAP_PRIVATE);
	expect_zero(memory, 4 * page);
	expect_tags(memory, 4 * page, 0);
	memset(memory, 'x', 4 * page);
	expect_equal(tagmem_set_tags(tagmem_with_tag(memory, 7), 4 * page), 0);
	expect_tags(memory, 4 * page, 7);
	expect_equal(munmap(memory, 4 * page), 0);
	char *again = map(4 * page, read_write | PROT_MTE, MAP_PRIVATE);
	expect_equal((uintptr_t)again, (uintptr_t)memory);
	expect_zero(again, 4 * page);
	expect_tags(again, 4 * page, 0);
	/* Without PROT_MTE there are no tags, and later there are. */
	char *plain = map(2 * page, read_write, MAP_PRIVATE);
	expect(!has_tags(plain));
	expect_equal(tagmem_set_tags(tagmem_with_tag(plain, 3), page), -1);
	plain[5] = 'p';
	expect_equal(mprotect(plain + page, page, read_write | PROT_MTE), 0);
	expect(!has_tags(plain) && has_tags(plain + page));
	expect_equal(tagmem_get_tag(plain + page), 0);
	expect_equal(mprotect(plain, 2 * page, read_write | PROT_MTE), 0);
	expect_equal(plain[5], 'p');
	expect_tags(plain, 2 * page, 0);
	/* PROT_MTE is never removed. */
	expect_equal(tagmem_set_tags(tagmem_with_tag(plain, 3), page), 0);
	expect_equal(mprotect(plain, 2 * page, PROT_READ), 0);
	expect_equal(mprotect(plain, 2 * page, PROT_NONE), 0);
	expect_equal(mprotect(plain, 2 * page, read_write), 0);
	expect_tags(plain, page, 3);
	expect_equal(((char *)tagmem_with_tag(plain, 3))[5], 'p');
	munmap(plain, 2 * page);
	munmap(again, 4 * page);
}

static void protections(void) {
	char *memory = map(3 * page, read_write | PROT_MTE, MAP_PRIVATE);
	expect_equal(store_fault(memory + page, 1), 0);
	expect_equal(mprotect(memory + page, page, PROT_READ), 0);
	expect_equal(load_fault(memory + page), 0);
	expect_equal(store_fault(memory + page + 9, 1), SEGV_ACCERR);
	expect_equal(fault_address, (uintptr_t)memory + page + 9);
	expect_equal(mprotect(memory + page, page, PROT_NONE), 0);
	expect_equal(load_fault(memory + page), SEGV_ACCERR);
	expect_equal(munmap(memory + page, page), 0);
	expect_equal(load_fault(memory + page + 3), SEGV_MAPERR);
	expect_equal(fault_address, (uintptr_t)memory + page + 3);
	expect_equal(load_fault(memory), 0);
	expect_equal(load_fault(memory + 2 * page), 0);
	expect_errno(mprotect(memory, 3 * page, read_write), ENOMEM);
	expect_errno(mprotect(memory + 1, page, read_write), EINVAL);
	expect_errno(mprotect(memory, page, 0x40), EINVAL);
	expect_equal(mprotect(memory, 0, read_write), 0);
	expect_errno(madvise(memory, 3 * page, MADV_DONTNEED), ENOMEM);
	expect_errno(madvise(memory, page, 12345), EINVAL);
	expect_errno(madvise(memory + 1, page, MADV_DONTNEED), EINVAL);
	expect_errno(munmap(memory + 1, page), EINVAL);
	expect_errno(munmap(memory, 0), EINVAL);
	expect_errno(msync(memory, 3 * page, MS_SYNC), ENOMEM);
	expect_equal(msync(memory, page, MS_SYNC), 0);
	expect_errno(mlock(memory, 3 * page), ENOMEM);
	expect_equal(mlock(memory, page), 0);
	expect_equal(munlock(memory, page), 0);
	unsigned char vector[3];
	expect_errno(mincore(memory, 3 * page, vector), ENOMEM);
	expect_equal(mincore(memory, page, vector), 0);
	expect_equal(munmap(memory, 3 * page), 0);
	expect_equal(munmap(memory, 3 * page), 0);
	int elsewhere;
	expect_errno(mprotect((void *)((uintptr_t)&elsewhere & -(uintptr_t)page), page, read_write | PROT_MTE), EINVAL);
}

static void arguments(void) {
	expect_errno(mmap(NULL, 0, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	expect_errno(mmap(NULL, page, read_write, MAP_ANONYMOUS, -1, 0), EINVAL);
	expect_errno(mmap(NULL, SIZE_MAX - 100, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	expect_errno(mmap(NULL, 1ull << 41, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	expect_errno(mmap(NULL, 1ull << 38, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	expect_errno(mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0), ENOMEM);
	char *memory = map(4 * page, read_write, MAP_PRIVATE);
	expect_errno(mmap(memory + 1, page, read_write, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	expect_errno(mmap(tagmem_with_tag(memory, 4), page, read_write, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		     ENOMEM);
	expect_errno(mmap(memory, page, read_write, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	/* A fixed mapping replaces what is there. */
	memset(memory, 'x', 4 * page);
	expect(mmap(memory + page, 2 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	       memory + page);
	expect_zero(memory + page, 2 * page);
	expect_equal(memory[page - 1], 'x');
	expect_equal(memory[3 * page], 'x');
	expect(!has_tags(memory) && has_tags(memory + page) && has_tags(memory + 3 * page - 1) && !has_tags(memory + 3 * page));
	/* A hint that is free is taken. */
	munmap(memory + page, page);
	expect(mmap(memory + page, page, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == memory + page);
	expect(mmap(memory + page, page, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != memory + page);
	munmap(memory, 5 * page);
	/* A tagged address is that of the pages, where Linux takes one. */
	memory = map(page, read_write | PROT_MTE, MAP_PRIVATE);
	expect_equal(mprotect(tagmem_with_tag(memory, 9), page, PROT_READ), 0);
	expect_equal(store_fault(memory, 1), SEGV_ACCERR);
	expect_equal(madvise(tagmem_with_tag(memory, 9), page, MADV_DONTNEED), 0);
	expect_equal(munmap(tagmem_with_tag(memory, 9), page), 0);
	expect_equal(load_fault(memory), SEGV_MAPERR);
}

static void advice(void) {
	char *memory = map(4 * page, read_write | PROT_MTE, MAP_PRIVATE);
	memset(memory, 'x', 4 * page);
	tagmem_set_tags(tagmem_with_tag(memory, 5), 4 * page);
	expect_equal(madvise(memory + page, 2 * page, MADV_DONTNEED), 0);
	expect_tags(memory, page, 5);
	expect_tags(memory + page, 2 * page, 0);
	expect_tags(memory + 3 * page, page, 5);
	expect_zero(memory + page, 2 * page);
	expect_equal(((char *)tagmem_with_tag(memory, 5))[page - 1], 'x');
	expect_equal(((char *)tagmem_with_tag(memory, 5))[3 * page], 'x');
	expect_equal(madvise(memory, 4 * page, MADV_FREE), 0);
	expect_equal(madvise(memory, 4 * page, MADV_POPULATE_WRITE), 0);
	char *shared = map(page, read_write | PROT_MTE, MAP_SHARED);
	memset(shared, 's', page);
	expect_equal(madvise(shared, page, MADV_DONTNEED), 0);
	expect_equal(shared[7], 's');
	expect_errno(madvise(shared, page, MADV_FREE), EINVAL);
	expect_equal(madvise(shared, page, MADV_REMOVE), 0);
	expect_zero(shared, page);
	munmap(memory, 4 * page);
	munmap(shared, page);
}

static void fill(char *memory, unsigned pages) {
	for (unsigned i = 0; i < pages; i++) {
		memset(memory + i * page, 'a' + (int)i, page);
		tagmem_set_tags(tagmem_with_tag(memory + i * page, i + 1), page);
	}
}

static void expect_filled(const char *memory, unsigned pages) {
	for (unsigned i = 0; i < pages; i++) {
		expect_tags(memory + i * page, page, (int)i + 1);
		const char *tagged = tagmem_with_tag(memory + i * page, i + 1);
		expect_equal(tagged[0], 'a' + (int)i);
		expect_equal(tagged[page - 1], 'a' + (int)i);
	}
}

static void moving(void) {
	char *memory = map(4 * page, read_write | PROT_MTE, MAP_PRIVATE);
	fill(memory, 4);
	/* In place, if there is room. */
	char *grown = mremap(memory, 4 * page, 6 * page, 0);
	expect(grown == memory);
	expect_filled(memory, 4);
	expect_tags(memory + 4 * page, 2 * page, 0);
	expect_zero(memory + 4 * page, 2 * page);
	expect(mremap(memory, 6 * page, 4 * page, 0) == memory);
	expect_equal(load_fault(memory + 4 * page), SEGV_MAPERR);
	char *wall = mmap(memory + 4 * page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	expect(wall == memory + 4 * page);
	expect_errno(mremap(memory, 4 * page, 5 * page, 0), ENOMEM);
	char *moved = mremap(tagmem_with_tag(memory, 3), 4 * page, 300 * page, MREMAP_MAYMOVE);
	expect(moved != MAP_FAILED && moved != memory);
	expect_filled(moved, 4);
	expect_tags(moved + 4 * page, 296 * page, 0);
	expect_zero(moved + 4 * page, 296 * page);
	expect_equal(load_fault(memory), SEGV_MAPERR);
	/* To a place of the program's choice, over what is there. */
	char *room = map(8 * page, read_write, MAP_PRIVATE);
	memset(room, 'r', 8 * page);
	expect(mremap(moved, 4 * page, 6 * page, MREMAP_MAYMOVE | MREMAP_FIXED, room + page) == room + page);
	expect_filled(room + page, 4);
	expect_zero(room + 5 * page, 2 * page);
	expect_equal(room[page - 1], 'r');
	expect_equal(room[7 * page], 'r');
	expect(!has_tags(room) && has_tags(room + 6 * page) && !has_tags(room + 7 * page));
	/* The old place stays, empty. */
	char *left = mremap(room + page, 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	expect(left != MAP_FAILED && left != room + page);
	expect_filled(left, 4);
	expect_zero(room + page, 4 * page);
	expect_tags(room + page, 4 * page, 0);
	expect_errno(mremap(left, page, 4 * page, MREMAP_FIXED, room), EINVAL);
	expect_errno(mremap(left, page, 0, MREMAP_MAYMOVE), EINVAL);
	expect_errno(mremap(left, 0, page, MREMAP_MAYMOVE), EINVAL);
	expect_errno(mremap(left + 1, page, page, MREMAP_MAYMOVE), EINVAL);
	expect_errno(mremap(left, 2 * page, 3 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
	expect_errno(mremap(left, 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, left + page), EINVAL);
	expect_errno(mremap(left, 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, tagmem_with_tag(room, 2)), EINVAL);
	munmap(left + page, page);
	expect_errno(mremap(left, 4 * page, 8 * page, MREMAP_MAYMOVE), EFAULT);
	/* Shared memory moves as it is. */
	char *shared = map(2 * page, read_write | PROT_MTE, MAP_SHARED);
	fill(shared, 2);
	char *elsewhere = mremap(shared, 2 * page, page, MREMAP_MAYMOVE);
	expect(elsewhere == shared);
	expect_filled(shared, 1);
}

/* Address space that is reserved, of which some is used. */
static void reservations(void) {
	const size_t size = 1ull << 37;
	char *reserved = map(size, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
	expect_equal(load_fault(reserved + size / 2), SEGV_ACCERR);
	for (size_t i = 0; i < 4; i++) {
		char *used = reserved + i * (size / 4) + i * page;
		expect_equal(mprotect(used, 40 * page, read_write | PROT_MTE), 0);
		expect_zero(used, 40 * page);
		fill(used, 10);
	}
	for (size_t i = 0; i < 4; i++) {
		expect_filled(reserved + i * (size / 4) + i * page, 10);
		expect_equal(load_fault(reserved + i * (size / 4) + (i + 40) * page), SEGV_ACCERR);
	}
	char *small = map(page, read_write | PROT_MTE, MAP_PRIVATE);
	expect_zero(small, page);
	expect_tags(small, page, 0);
	expect_equal(munmap(reserved, size), 0);
	expect_equal(load_fault(reserved + page), SEGV_MAPERR);
	char *again = map(size, PROT_NONE, MAP_PRIVATE);
	expect_equal((uintptr_t)again, (uintptr_t)reserved);
	expect_equal(mprotect(again, 40 * page, read_write | PROT_MTE), 0);
	expect_zero(again, 40 * page);
	expect_tags(again, 40 * page, 0);
	munmap(again, size);
	munmap(small, page);
}

/* Huge pages are as many small ones, in units of theirs. */
static void huge_pages(void) {
	enum { huge = 2 << 20 };
	char *memory = mmap(NULL, 100, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	expect(memory != MAP_FAILED);
	expect_equal((uintptr_t)memory % huge, 0);
	expect_equal(tagmem_get_tag(memory + huge - 1), 0);
	expect_equal(load_fault(memory + huge), SEGV_MAPERR);
	memory[huge - 1] = 'x';
	expect_errno(munmap(memory, page), EINVAL);
	expect_errno(munmap(memory + page, huge - page), EINVAL);
	expect_errno(mprotect(memory, page, PROT_READ), EINVAL);
	expect_equal(memory[huge - 1], 'x');
	expect_equal(munmap(memory, huge), 0);
	expect_equal(load_fault(memory + huge - 1), SEGV_MAPERR);
	expect_errno(mlockall(0), EINVAL);
	expect_equal(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
}

/* A device that is full is full: ENOMEM, and what there is stays. */
static void exhaustion(void) {
	enum { most = 512, piece = 1 << 20 };
	static char *pieces[most];
	size_t count = 0;
	while (count < most) {
		char *memory = mmap(NULL, piece, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED) {
			expect_equal(errno, ENOMEM);
			break;
		}
		memory[0] = (char)count;
		pieces[count++] = memory;
	}
	expect(count > 10 && count < most);
	for (size_t i = 0; i < count; i++) {
		expect_equal(pieces[i][0], (char)i);
		expect_equal(munmap(pieces[i], piece), 0);
	}
	char *memory = map(piece, read_write | PROT_MTE, MAP_PRIVATE);
	expect_zero(memory, piece);
	munmap(memory, piece);
}

int main(int count, char **arguments_) {
	begin(count, arguments_);
	fresh();
	protections();
	arguments();
	advice();
	moving();
	reservations();
	huge_pages();
	exhaustion();
	return finish();
}
