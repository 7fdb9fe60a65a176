/* Address space that is reserved has no memory: what becomes of it does not touch memory that is in use elsewhere. */
#include "environment.h"

enum { block = 128 << 10, count = 16 };
static const size_t huge = (size_t)64 << 30;

static char *reserve(size_t size) {
	char *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	expect(memory != MAP_FAILED);
	return memory;
}

static void expect_filled(char *far) {
	for (int i = 0; i < count; i++) {
		char *at = far + ((size_t)i << 31);
		expect_equal(at[0], i + 1);
		expect_equal(at[block - 1], i + 1);
		expect_equal(tagmem_get_tag(at), i % 15 + 1);
	}
}

static void check(void) {
	/* Blocks that are used far from each other are in the object where it has room: at offsets that nobody uses. */
	char *far = reserve(huge);
	for (int i = 0; i < count; i++) {
		char *at = far + ((size_t)i << 31);
		expect_equal(mprotect(at, block, read_write), 0);
		expect(mmap(at, block, read_write | PROT_MTE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at);
		memset(at, i + 1, block);
		expect_equal(tagmem_set_tags(tagmem_with_tag(at, i % 15 + 1), block), 0);
	}
	/* Which are reserved then, and are used in part, and not at all any more. */
	char *near[count];
	for (int i = 0; i < count; i++)
		near[i] = reserve(4 * block);
	expect_filled(far);
	for (int i = 0; i < count; i++) {
		char *at = near[i] + block;
		expect(mmap(at, block, read_write | PROT_MTE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at);
		expect_equal(at[0], 0);
		expect_equal(tagmem_get_tag(at), 0);
		memset(at, 0x55, block);
		expect_equal(mprotect(near[i] + 2 * block, page, read_write), 0);
		expect_equal(near[i][2 * block], 0);
		expect_equal(madvise(near[i], 4 * block, MADV_DONTNEED), 0);
		expect_equal(at[0], 0);
	}
	expect_filled(far);
	for (int i = 0; i < count; i++)
		expect_equal(munmap(near[i], 4 * block), 0);
	expect_filled(far);
	expect_equal(munmap(far, huge), 0);
}

int main(int count_of_arguments, char **arguments) {
	begin(count_of_arguments, arguments);
	check();
	return finish();
}
