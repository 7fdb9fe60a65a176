/* Arm's intrinsics: the tags they choose, the pointers they return, the signals they raise. */
#include <tagmem/arm_acle.h>

#include "../Space/object.h"

#include <linux/prctl.h>
#include <pthread.h>

enum { size = 1 << 16, page = 4096 };

static char *base;

static void include(unsigned mask) {
	tagmem_thread.has_control = true;
	tagmem_thread.control = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | (unsigned long)mask << PR_MTE_TAG_SHIFT;
	tagmem_drawn.count = 0; /* as prctl does */
}

static char *upper(const char *pointer) {
	uintptr_t address = (uintptr_t)pointer, tag = address >> TAGMEM_TAG_SHIFT & 0xf;
	return (char *)((address & ~TAGMEM_TAG_MASK) | tag << 56 | (uintptr_t)1 << 60);
}
static unsigned upper_tag(const char *pointer) { return (unsigned)((uintptr_t)pointer >> 56 & 0xf); }

/* Exactly the tags of a mask, each about as often. */
static void expect_random(uint64_t exclude, unsigned left) {
	enum { draws = 16000 };
	int counts[16] = { 0 }, expected = left ? draws / __builtin_popcount(left) : 0;
	for (int i = 0; i < draws; i++) {
		char *pointer = __arm_mte_create_random_tag(base + 21, exclude);
		counts[tagmem_tag(pointer)]++;
		if (tagmem_strip(pointer) != base + 21) expect_equal((uintptr_t)pointer, 0);
	}
	for (unsigned tag = 0; tag < 16 && left; tag++) {
		if (left >> tag & 1 ? counts[tag] > expected * 8 / 10 && counts[tag] < expected * 12 / 10 : counts[tag] == 0) continue;
		printf("exclude 0x%lx: tag %u %d times, not %d\n", exclude, tag, counts[tag], left >> tag & 1 ? expected : 0);
		check_failures++;
	}
	if (!left) expect_equal(counts[0], draws);
}

static void test_random(void) {
	tagmem_thread.has_control = false;
	expect_random(0, 0xffff);
	expect_random(1, 0xfffe);
	expect_random(0x7fff, 0x8000);
	expect_random(0xffff, 0);
	expect_random(0xffffffffffff0000, 0xffff);
	expect_random(0xf0f0, 0x0f0f);
	include(0xfffe);
	expect_random(0, 0xfffe);
	expect_random(0xfff0, 0x000e);
	include(0x0ff0);
	expect_random(0, 0x0ff0);
	expect_random(0x0f00, 0x00f0);
	expect_random(0x0ff0, 0);
	include(0);
	expect_random(0, 0);
	/* The tag that the pointer has does not matter, and its form stays. */
	include(0x0040);
	expect_equal((uintptr_t)__arm_mte_create_random_tag(tagmem_with_tag(base + 5, 9), 0), (uintptr_t)tagmem_with_tag(base + 5, 6));
	char *other = upper(tagmem_with_tag(base + 5, 9));
	expect_equal((uintptr_t)__arm_mte_create_random_tag(other, 0), (uintptr_t)upper(tagmem_with_tag(base + 5, 6)));
	/* A program that has both in its pointer loses the one that did not count. */
	other = (char *)((uintptr_t)other | (uintptr_t)15 << TAGMEM_TAG_SHIFT);
	expect_equal((uintptr_t)__arm_mte_create_random_tag(other, 0), (uintptr_t)upper(tagmem_with_tag(base + 5, 6)));
}

static void *draw(void *argument) {
	uint64_t *tags = argument;
	for (int i = 0; i < 16; i++) *tags = *tags << 4 | tagmem_tag(__arm_mte_create_random_tag(base, 0));
	return NULL;
}

/* Threads and children have tags of their own. */
static void test_seeds(void) {
	tagmem_thread.has_control = false;
	uint64_t tags[2] = { 0 }, *shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, draw, &tags[i]);
	for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
	expect(tags[0] != tags[1]);
	pid_t child = fork();
	draw(&shared[child == 0]);
	if (child == 0) _exit(0);
	waitpid(child, NULL, 0);
	expect(shared[0] != shared[1] && shared[1] != 0);
	munmap(shared, page);
}

/* Choose, word for word as Arm has it. */
static unsigned choose(unsigned tag, unsigned offset, unsigned exclude) {
	if ((exclude & 0xffff) == 0xffff) return 0;
	if (offset == 0) {
		while (exclude & 1u << tag) tag = (tag + 1) % 16;
	}
	while (offset != 0) {
		offset--;
		tag = (tag + 1) % 16;
		while (exclude & 1u << tag) tag = (tag + 1) % 16;
	}
	return tag;
}

static void test_increment(void) {
	static const unsigned seen[16] = { 4, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11, 4, 4, 4, 4, 4 };
	include(0x0ff0);
	for (unsigned tag = 0; tag < 16; tag++) {
		expect_equal(tagmem_tag(__arm_mte_increment_tag((char *)tagmem_with_tag(base, tag), 1)), seen[tag]);
	}
	/* No step leaves an excluded tag, too. */
	expect_equal(tagmem_tag(__arm_mte_increment_tag(base, 0)), 4);
	static const unsigned masks[] = { 0xffff, 0xfffe, 0x0001, 0x8000, 0x0ff0, 0xf00f, 0x5555, 0x1234, 0 };
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		include(masks[i]);
		for (unsigned tag = 0; tag < 16; tag++) {
			for (unsigned offset = 0; offset < 16; offset++) {
				char *pointer = tagmem_with_tag(base + 3, tag), *next = __arm_mte_increment_tag(pointer, offset);
				expect_equal(tagmem_tag(next), choose(tag, offset, ~masks[i]));
				expect_equal((uintptr_t)tagmem_strip(next), (uintptr_t)base + 3);
				expect_equal(upper_tag(__arm_mte_increment_tag(upper(pointer), offset)), choose(tag, offset, ~masks[i]));
			}
		}
	}
	tagmem_thread.has_control = false;
	expect_equal(tagmem_tag(__arm_mte_increment_tag((char *)tagmem_with_tag(base, 15), 1)), 0);
	expect_equal(tagmem_tag(__arm_mte_increment_tag(base, 0)), 0);
}

static void test_pointers(void) {
	char *pointer = tagmem_with_tag(base + 100, 11);
	expect_equal(__arm_mte_exclude_tag(pointer, 1), 1 | 1 << 11);
	expect_equal(__arm_mte_exclude_tag(pointer, 0xfedc000000000000), 0xfedc000000000000 | 1 << 11);
	expect_equal(__arm_mte_exclude_tag(upper(pointer), 0x10000), 0x10000 | 1 << 11);
	expect_equal(__arm_mte_ptrdiff(pointer, base), 100);
	expect_equal(__arm_mte_ptrdiff(base, pointer), -100);
	expect_equal(__arm_mte_ptrdiff(upper(pointer), tagmem_with_tag(base, 3)), 100);
	expect_equal(__arm_mte_ptrdiff(base, upper(pointer)), -100);
	expect_equal(__arm_mte_ptrdiff(NULL, NULL), 0);

	/* Memory of others has tag 0, and its pointers stay as they are. */
	char local[16], array[32];
	const char *const constant = local;
	int *numbers = (int *)(void *)base;
	expect_equal((uintptr_t)__arm_mte_create_random_tag(constant, 0), (uintptr_t)local);
	expect_equal((uintptr_t)__arm_mte_increment_tag(local, 3), (uintptr_t)local);
	expect_equal((uintptr_t)__arm_mte_get_tag(array), (uintptr_t)array);
	expect_equal(__arm_mte_exclude_tag(local, 0), 1);
	expect_equal(__arm_mte_ptrdiff(&local[3], local), 3);
	local[0] = 'k';
	__arm_mte_set_tag((void *)((uintptr_t)local & -16ul));
	expect_equal(local[0], 'k');
	/* Types stay. */
	expect_equal(*__arm_mte_create_random_tag(constant, 0), 'k');
	expect_equal(sizeof *__arm_mte_increment_tag(numbers, 1), sizeof(int));
	int *next = __arm_mte_get_tag(numbers + 1);
	(void)next;
	void *none = __arm_mte_create_random_tag((void *)NULL, 0);
	expect_equal((uintptr_t)none, 0);
}

static void test_memory(void) {
	char *pointer = tagmem_with_tag(base + 2 * page, 6);
	expect_equal(tagmem_set_tags(tagmem_with_tag(base, 0), size), 0);
	errno = 55;
	__arm_mte_set_tag(pointer);
	expect_equal(tagmem_get_tag(pointer), 6);
	expect_equal(tagmem_get_tag(pointer + 16), 0);
	expect_equal(tagmem_get_tag(pointer - 16), 0);
	/* A load aligns down, and leaves the address as it is. */
	expect_equal((uintptr_t)__arm_mte_get_tag(base + 2 * page + 15), (uintptr_t)pointer + 15);
	expect_equal((uintptr_t)__arm_mte_get_tag(base + 2 * page + 16), (uintptr_t)base + 2 * page + 16);
	expect_equal((uintptr_t)__arm_mte_get_tag(upper(base + 2 * page + 7)), (uintptr_t)upper(pointer + 7));
	__arm_mte_set_tag(upper(tagmem_with_tag(base + 2 * page + 16, 9)));
	expect_equal(tagmem_get_tag(pointer + 16), 9);
	expect_equal(outside_tag(2 * page), 6);
	expect_equal(outside_tag(2 * page + 16), 9);
	expect_equal(errno, 55);

	/* A store aligns nothing. */
	for (int by = 1; by < 16; by++) {
		expect_equal(signal_of(__arm_mte_set_tag(pointer + by)), SIGBUS);
		expect_equal(caught.si_code, BUS_ADRALN);
		expect_equal((uintptr_t)caught.si_addr, (uintptr_t)pointer + by);
	}
	expect_equal(tagmem_get_tag(pointer), 6);
	/* Behind the end. */
	expect_equal(signal_of(__arm_mte_set_tag(tagmem_with_tag(base + size, 3))), SIGBUS);
	expect_equal(caught.si_code, BUS_ADRERR);
	expect_equal((uintptr_t)caught.si_addr, (uintptr_t)tagmem_with_tag(base + size, 3));
	expect_equal(signal_of((void)__arm_mte_get_tag(base + size)), SIGBUS);
	/* Nowhere. */
	expect_equal(signal_of((void)__arm_mte_get_tag((char *)16)), SIGSEGV);
	expect_equal(signal_of(__arm_mte_set_tag((char *)16)), SIGSEGV);
}

static void test_regions(void) {
	struct tagmem_span *span = span_of(base);
	set_outside_tags(0, size, '7');
	expect_equal(tagmem_become_environment(span), 0);
	struct tagmem_region regions[] = {
		{ 0, page, PROT_READ | PROT_WRITE | PROT_MTE, false },
		{ page, 2 * page, PROT_READ | PROT_MTE, false },
		{ 2 * page, 3 * page, PROT_READ | PROT_WRITE, false },
		{ 3 * page, 4 * page, PROT_NONE | PROT_MTE, false },
	};
	for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) expect_equal(tagmem_set_region(span, &regions[i]), 0);
	char *pointer = tagmem_with_tag(base, 2);
	expect_equal(signal_of(__arm_mte_set_tag(pointer)), 0);
	expect_equal(outside_tag(0), 2);
	expect_equal(tagmem_tag(__arm_mte_get_tag(pointer + page)), 7);
	expect_equal(signal_of(__arm_mte_set_tag(pointer + page)), SIGSEGV);
	expect_equal(caught.si_code, SEGV_ACCERR);
	expect_equal((uintptr_t)caught.si_addr, (uintptr_t)pointer + page);
	/* Memory without tags reads as 0, and stores are ignored. */
	expect_equal(tagmem_tag(__arm_mte_get_tag(pointer + 2 * page)), 0);
	expect_equal(signal_of(__arm_mte_set_tag(pointer + 2 * page)), 0);
	expect_equal(outside_tag(2 * page), 7);
	expect_errno(tagmem_get_tag(pointer + 2 * page), EFAULT);
	expect_errno(tagmem_set_tags(pointer + 2 * page, 16), EFAULT);
	expect_equal(signal_of((void)__arm_mte_get_tag(pointer + 3 * page)), SIGSEGV);
	expect_equal(caught.si_code, SEGV_ACCERR);
	expect_equal(signal_of((void)__arm_mte_get_tag(pointer + 4 * page)), SIGSEGV);
	expect_equal(caught.si_code, SEGV_MAPERR);
	expect_equal(signal_of(__arm_mte_set_tag(pointer + 4 * page)), SIGSEGV);
	expect_equal(caught.si_code, SEGV_MAPERR);
	expect_equal(signal_of(__arm_mte_set_tag(pointer + 4 * page + 1)), SIGBUS);
	/* Without prctl Linux lets IRG give no tag but 0. */
	tagmem_thread.has_control = false;
	expect_equal(tagmem_tag(__arm_mte_create_random_tag(pointer, 0)), 0);
	expect_equal(tagmem_tag(__arm_mte_increment_tag(pointer, 1)), 0);
	span->is_environment = false;
}

int main(int count, char **arguments) {
	begin(count, arguments);
	catch_signals();
	set_size(object, size);
	for (unsigned flags = 0; flags < 2; flags++) {
		base = attach(object, flags);
		test_random();
		test_seeds();
		test_increment();
		test_pointers();
		test_memory();
		test_regions();
		expect_equal(tagmem_detach(base), 0);
	}
	return finish();
}
