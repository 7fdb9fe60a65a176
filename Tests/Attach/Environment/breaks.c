/* The program's heap. */
#include "environment.h"

int main(int count, char **arguments) {
	begin(count, arguments);
	char *start = sbrk(0);
	expect_equal((uintptr_t)start % page, 0);
	expect_equal(load_fault(start), SEGV_ACCERR);
	expect(sbrk(100) == start);
	expect(sbrk(0) == start + 100);
	expect_equal(start[page - 1], 0);
	expect_equal(tagmem_get_tag(start), -1);
	memset(start, 'h', page);
	expect(sbrk(2 * page) == start + 100);
	expect_equal(start[page], 0);
	expect_equal(load_fault(start + 3 * page), SEGV_ACCERR);
	/* Tags for a part of it; they are not those of what comes behind. */
	expect_equal(mprotect(start + page, page, read_write | PROT_MTE), 0);
	expect_equal(tagmem_get_tag(start + page), 0);
	expect_equal(tagmem_get_tag(start + 2 * page), -1);
	expect_equal(tagmem_set_tags(tagmem_with_tag(start + page, 5), 32), 0);
	expect_equal(start[0], 'h');
	/* What is given back and got again is fresh. */
	expect_equal(brk(start + page), 0);
	expect(sbrk(0) == start + page);
	expect_equal(load_fault(start + page), SEGV_ACCERR);
	expect(sbrk(page) == start + page);
	expect_equal(tagmem_get_tag(start + page), -1);
	expect_equal(start[page], 0);
	expect_equal(start[page - 1], 'h');
	expect_errno(brk(start - 1), ENOMEM);
	expect_errno(brk(tagmem_with_tag(start + page, 1)), ENOMEM);
	expect_errno(brk(NULL), ENOMEM);
	expect_equal((uintptr_t)sbrk(1l << 40), -1);
	expect_equal((uintptr_t)sbrk(-3 * page), -1);
	expect(sbrk(0) == start + 2 * page);
	/* malloc is libc's. */
	char *block = malloc(100000);
	expect(block != NULL);
	memset(block, 1, 100000);
	expect(sbrk(0) == start + 2 * page);
	free(block);
	/* A child has its own. */
	pid_t child = fork();
	if (child == 0) {
		start[0] = 'k';
		_exit(sbrk(page) == start + 2 * page && start[page - 1] == 'h' ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	expect_equal(status, 0);
	expect_equal(start[0], 'h');
	expect(sbrk(0) == start + 2 * page);
	return finish();
}
