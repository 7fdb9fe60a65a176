/* Pages that are closed: to whom, for how long, and what happens where there are too many. In the environment's span, too. */
#include "object.h"

enum { size = 1 << 20, page = 4096 };

static void test_counts(unsigned flags) {
	char *base = attach(object, flags), *pointer = tagmem_with_tag(base + 8 * page, 9);
	tagmem_open_page((uintptr_t)pointer);
	expect_equal(protection_of(pointer), PROT_READ | PROT_WRITE);
	tagmem_close_page((uintptr_t)pointer + 100);
	tagmem_close_page((uintptr_t)pointer + 4095);
	expect_equal(protection_of(pointer), PROT_NONE);
	expect_equal(protection_of(pointer - 1), PROT_READ | PROT_WRITE);
	expect_equal(protection_of(pointer + page), PROT_READ | PROT_WRITE);
	expect_equal(protection_of(tagmem_with_tag(pointer, 8)), PROT_READ | PROT_WRITE);
	tagmem_open_page((uintptr_t)pointer);
	expect_equal(protection_of(pointer), PROT_NONE);
	/* In the other form of a pointer. */
	tagmem_open_page(((uintptr_t)pointer & ~TAGMEM_TAG_MASK) | (uintptr_t)9 << 56);
	expect_equal(protection_of(pointer), PROT_READ | PROT_WRITE);
	/* Of no span: nothing happens. */
	static char local[2 * page];
	tagmem_close_page((uintptr_t)local);
	local[0] = 1;
	tagmem_open_page((uintptr_t)local);
	expect_equal(tagmem_detach(base), 0);
}

/* More than the kernel has mappings for: all of the alias is closed, until none of the pages is. */
static void test_too_many(void) {
	enum { count = 40000 };
	char *base = attach(object, 0), *alias = tagmem_with_tag(base, 6);
	struct tagmem_span *span = span_of(base);
	for (uintptr_t i = 0; i < count; i++) tagmem_close_page((uintptr_t)alias + i * 2 * page);
	expect_equal(span->closed_of_alias[6], count);
	expect_equal(span->closed_aliases, 1 << 6);
	expect_equal(protection_of(alias + (uintptr_t)(2 * count - 1) * page), PROT_NONE);
	expect_equal(protection_of(tagmem_with_tag(base, 5)), PROT_READ | PROT_WRITE);
	/* A mapping can be had again. */
	void *other = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(other != MAP_FAILED);
	munmap(other, page);
	for (uintptr_t i = 1; i < count; i++) tagmem_open_page((uintptr_t)alias + i * 2 * page);
	expect_equal(protection_of(alias + page), PROT_NONE);
	tagmem_open_page((uintptr_t)alias);
	expect_equal(span->closed_aliases, 0);
	expect_equal(protection_of(alias), PROT_READ | PROT_WRITE);
	expect_equal(protection_of(alias + 2 * page), PROT_READ | PROT_WRITE);
	expect_equal(tagmem_detach(base), 0);
}

/* A child has no closed page, but those that it has closed itself to come back to, and finds the lock free. */
static char *closed;
static void be_child(void) {
	expect_equal(protection_of(closed), PROT_READ | PROT_WRITE);
	expect_equal(protection_of(tagmem_thread.closed[0].page ? (void *)tagmem_thread.closed[0].page : NULL), PROT_NONE);
	tagmem_close_page((uintptr_t)closed);
	expect_equal(protection_of(closed), PROT_NONE);
	tagmem_open_page((uintptr_t)closed);
	expect_equal(protection_of(closed), PROT_READ | PROT_WRITE);
	expect_equal(tagmem_get_tag(closed), 2);
}

static void test_fork(unsigned flags) {
	char *base = attach(object, flags);
	closed = tagmem_with_tag(base + 3 * page, 2);
	expect_equal(tagmem_set_tags(closed, page), 0);
	tagmem_close_page((uintptr_t)closed);
	char *own = tagmem_with_tag(base + 5 * page, 4);
	tagmem_close_for_access((uintptr_t)own, 8, (uintptr_t)own, 0);
	tagmem_lock();
	pid_t child = fork();
	if (child != 0) tagmem_unlock();
	if (child == 0) {
		be_child();
		fflush(stdout);
		_exit(check_failures != 0);
	}
	/* One that waits for the lock has its signals blocked, so no alarm ends it. */
	int status = -1;
	for (int tries = 0; waitpid(child, &status, WNOHANG) == 0 && tries < 2000; tries++) usleep(5000);
	if (status != 0) kill(child, SIGKILL);
	expect_equal(status, 0);
	expect_equal(protection_of(closed), PROT_NONE);
	expect_equal(tagmem_detach(base), 0);
	tagmem_thread.closed[0].page = 0;
}

int main(int count, char **arguments) {
	begin(count, arguments);
	set_size(object, size);
	test_counts(0);
	test_counts(TAGMEM_VIEWS);
	test_fork(0);
	test_fork(TAGMEM_VIEWS);
	test_too_many();
	return finish();
}
