/* An object that grows, shrinks, is removed or turned untagged under an attachment; a full device. */
#include "object.h"

enum { page = 4096 };

static void test_growth(unsigned flags) {
	set_size(object, 0);
	char *base = attach(object, flags), *pointer = tagmem_with_tag(base + 5 * page, 7);
	expect_equal(tagmem_size(base), 0);
	expect_errno(tagmem_get_tag(base), EFAULT);
	expect_equal(load_signal(base), SIGBUS);
	expect_equal(caught.si_code, BUS_ADRERR);
	expect_equal((uintptr_t)caught.si_addr, (uintptr_t)base);
	/* By itself, then by another program, a byte more than whole pages. */
	expect_equal(tagmem_resize(base, page), 0);
	expect_equal(load_signal(base), 0);
	expect_equal(tagmem_get_tag(base), 0);
	expect_equal(load_signal(base + page), SIGBUS);
	set_size(object, 6 * page + 1);
	expect_equal(tagmem_size(base), 6 * page + 1);
	expect_equal(tagmem_set_tags(pointer, page), 0);
	*pointer = 'g';
	expect_equal(outside_byte("mem", 5 * page), 'g');
	expect_equal(outside_tag(5 * page), 7);
	expect_equal(tagmem_get_tag(base + 6 * page), 0);
	expect_errno(tagmem_get_tag(base + 7 * page), EFAULT);
	/* Far, and back. */
	expect_equal(tagmem_resize(base, 64 << 20), 0);
	char *far = tagmem_with_tag(base + (64 << 20) - page, 3);
	expect_equal(tagmem_set_tags(far, page), 0);
	expect_equal(store_signal(far, 'f'), 0);
	expect_equal(outside_byte("mem", (64 << 20) - page), 'f');

	expect_equal(tagmem_resize(base, 6 * page), 0);
	expect_equal(*pointer, 'g');
	expect_equal(load_signal(far), SIGBUS);
	expect_errno(tagmem_get_tag(far), EFAULT);
	expect_errno(tagmem_set_tags(far, 16), EFAULT);
	expect_errno(tagmem_get_tag(base + 6 * page), EFAULT);
	/* It comes back as new. */
	expect_equal(tagmem_resize(base, 64 << 20), 0);
	expect_equal(tagmem_get_tag(far), 0);
	expect_equal(*(char *)tagmem_with_tag(far, 0), 0);
	expect_equal(tagmem_detach(base), 0);
}

/* Cut off by somebody else, where the library has seen memory. */
static void test_cut(unsigned flags) {
	set_size(object, 0);
	set_size(object, 64 << 20);
	char *base = attach(object, flags), *near = tagmem_with_tag(base + 3 * page, 2), *far = base + (32 << 20);
	far = tagmem_with_tag(far, 2);
	expect_equal(tagmem_set_tags(near, page), 0);
	expect_equal(tagmem_set_tags(far, page), 0);
	*near = *far = 1;
	set_size(object, 2 * page);
	expect_equal(load_signal(near), SIGBUS);
	expect_equal(load_signal(far), SIGBUS);
	expect_errno(tagmem_get_tag(far), EFAULT);
	/* STG without a call: an errno, or SIGBUS. */
	int result = 1;
	int signal = signal_of(result = tagmem_set_tags(far, 16));
	expect(signal == SIGBUS || result == -1);
	expect_errno(tagmem_set_tags(far, 4096), EFAULT);
	expect_errno(tagmem_set_tags_zero(far, 4096), EFAULT);
	expect_equal(tagmem_judge((uintptr_t)far, 8, false, false).verdict, TAGMEM_GONE);
	expect_equal(tagmem_judge((uintptr_t)near, 8, false, false).verdict, TAGMEM_GONE);
	expect_equal(load_signal(base), 0);
	expect_equal(tagmem_sync(base, 64 << 20) == 0 || errno != 0, 1);
	expect_equal(tagmem_detach(base), 0);
}

static void test_full_device(unsigned flags) {
	set_size(object, 0);
	char *base = attach(object, flags);
	expect_equal(tagmem_resize(base, page), 0);
	*base = 1;
	expect_errno(tagmem_resize(base, (uint64_t)1 << 39), ENOSPC);
	expect_equal(tagmem_size(base), page);
	expect_equal(*base, 1);
	expect_equal(tagmem_detach(base), 0);
}

static void test_removed(unsigned flags) {
	char path[4200];
	snprintf(path, sizeof path, "%s-removed", object);
	expect_equal(mkdir(path, 0700), 0);
	set_size(path, 8 * page);
	char *base = attach(path, flags), *pointer = tagmem_with_tag(base + page, 5);
	expect_equal(tagmem_set_tags(pointer, page), 0);
	*pointer = 'a';
	expect_equal(rmdir(path), 0);
	/* Files that are open stay usable. */
	expect_equal(*pointer, 'a');
	expect_equal(tagmem_get_tag(pointer), 5);
	expect_equal(tagmem_set_tags(tagmem_with_tag(pointer, 6), page), 0);
	expect_equal(store_signal(tagmem_with_tag(pointer, 6), 'b'), 0);
	expect_equal(tagmem_resize(base, 16 * page), 0);
	expect_equal(tagmem_get_tag(base + 15 * page), 0);
	expect_equal(tagmem_detach(base), 0);
}

static void test_untagged(unsigned flags) {
	char path[4200], untagged[4200];
	snprintf(path, sizeof path, "%s-turned", object);
	snprintf(untagged, sizeof untagged, "%s/../../untagged/turned-%d", object, getpid());
	expect_equal(mkdir(path, 0700), 0);
	set_size(path, 8 * page);
	char *base = attach(path, flags), *pointer = tagmem_with_tag(base + page, 5);
	expect_equal(tagmem_set_tags(pointer, page), 0);
	*pointer = 'a';
	expect_equal(rename(path, untagged), 0);
	expect_equal(signal_of(expect_errno(tagmem_set_tags_of_range(pointer, page), EFAULT)), 0);
	int result = 1, signal = signal_of(result = tagmem_set_tags(pointer, 16));
	expect(signal == SIGBUS || result == -1);
	expect_equal(load_signal(pointer), flags & TAGMEM_VIEWS ? SIGBUS : 0);
	/* The other way its tags begin at 0. */
	expect_equal(rename(untagged, path), 0);
	expect_equal(tagmem_get_tag(pointer), 0);
	expect_equal(*(char *)tagmem_strip(pointer), 'a');
	expect_equal(tagmem_detach(base), 0);
	expect_equal(rmdir(path), 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	catch_signals();
	for (unsigned flags = 0; flags < 2; flags++) {
		test_growth(flags);
		test_cut(flags);
		test_full_device(flags);
		test_removed(flags);
		test_untagged(flags);
	}
	return finish();
}
