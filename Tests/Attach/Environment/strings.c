/*
 * libc's own functions on strings in tagged memory, in plain code: what they read ahead is no fault, what they read of memory
 * of another tag is. (In the way `aliases` plain code is not checked at all.)
 */
#include "environment.h"

#include <linux/prctl.h>
#include <sys/prctl.h>

static size_t (*volatile strlen_)(const char *) = strlen;
static void *(*volatile memchr_)(const void *, int, size_t) = memchr;
static int (*volatile strcmp_)(const char *, const char *) = strcmp;
static char *(*volatile strchr_)(const char *, int) = strchr;
static void *(*volatile memcpy_)(void *, const void *, size_t) = memcpy;

enum { longest = 300, SEGV_MTESERR_CODE = 9 };

static char *base;

static void set_tags(char *from, size_t length, unsigned tag) {
	expect_equal(tagmem_set_tags(tagmem_with_tag(from, tag), length), 0);
}

/* A string that ends in the last byte of its granules, with others behind. */
static void lengths(void) {
	for (size_t length = 0; length < longest; length++) {
		size_t room = (length + 16) & ~(size_t)15;
		char *text = tagmem_with_tag(base + 1024 + room - length - 1, 5), copy[longest + 1];
		set_tags(base, page, 2);
		set_tags(base + 1024, room, 5);
		memset(text, 'x', length);
		text[length] = 0;
		expect_equal(strlen_(text), length);
		expect((char *)memchr_(text, 0, length + 1) == text + length);
		expect(strchr_(text, 'y') == NULL);
		expect_equal(snprintf(copy, sizeof copy, "%s", text), length);
		expect_equal(strcmp_(text, copy), 0);
	}
}

static void catch(void) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | 0x800};
	sigaction(SIGSEGV, &action, NULL);
	fault_code = 0;
}

/* Memory that was freed: nothing near has the pointer's tag. */
static void freed(int expected) {
	char *text = tagmem_with_tag(base + 512, 5);
	volatile size_t length = 0;
	set_tags(base, page, 5);
	memset(text, 'x', 400);
	text[400] = 0;
	set_tags(base, page, 7);
	catch();
	if (sigsetjmp(before_access, 1) == 0)
		length = strlen_(text);
	expect_equal(fault_code, expected);
	expect_equal(length, expected ? 0 : 400);
}

/* A copy that is one byte too long stores to a granule that it may not, and has not done it. */
static void overflow(int expected) {
	static const char from[64] = "0123456789";
	set_tags(base, page, 5);
	set_tags(base + 1056, 16, 9);
	char *beyond = tagmem_with_tag(base + 1056, 9);
	*beyond = 'b';
	catch();
	if (sigsetjmp(before_access, 1) == 0)
		memcpy_(tagmem_with_tag(base + 1024, 5), from, 33);
	expect_equal(fault_code, expected);
	expect_equal(*beyond, expected ? 'b' : from[32]);
	/* It is exact for the kernel, too. */
	int ends[2];
	expect_equal(pipe(ends), 0);
	expect_equal(write(ends[1], tagmem_with_tag(base + 1024, 5), 48), 32);
	close(ends[0]);
	close(ends[1]);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	const char *way = getenv("TAGMEM_ATTACH");
	int expected = way != NULL && strcmp(way, "views") == 0 ? SEGV_MTESERR_CODE : 0;
	base = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffful << PR_MTE_TAG_SHIFT, 0,
		     0, 0), 0);
	lengths();
	freed(expected);
	overflow(expected);
	return finish();
}
