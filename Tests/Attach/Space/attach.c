/* Attachments come and go: where they lie, what they show, what they leave behind, what is refused. */
#include "object.h"

enum { size = 1 << 20 };

/* All that the process has: its mappings without what malloc and stdio may change, and its descriptors. */
static long count_of_mappings(void) {
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4200];
	long count = 0;
	while (fgets(line, sizeof line, maps)) count += !strstr(line, "[heap]");
	fclose(maps);
	return count;
}

static long count_of_files(void) {
	long count = 0;
	for (int file = 0; file < 1024; file++) count += fcntl(file, F_GETFD) >= 0;
	return count;
}

static void test_layout(unsigned flags) {
	set_size(object, size);
	char *base = attach(object, flags);
	expect_equal((uintptr_t)base % ((uintptr_t)1 << TAGMEM_SPAN_SHIFT), 0);
	expect_equal(tagmem_tag(base), 0);
	expect_equal(tagmem_size(base), size);
	expect_equal(tagmem_size(tagmem_with_tag(base + 100, 7)), size);
	char *pointer = tagmem_with_tag(base + 4096 + 32, 0x1b);
	expect_equal(tagmem_tag(pointer), 0xb);
	expect_equal((uintptr_t)tagmem_strip(pointer), (uintptr_t)base + 4096 + 32);

	/* What one alias stores, all show; of views, those that have the tag. */
	for (unsigned tag = 0; tag < 16; tag++) {
		char *page = tagmem_with_tag(base + tag * 4096, tag);
		expect_equal(tagmem_set_tags(page, 4096), 0);
		page[tag] = (char)(tag + 1);
		unsigned other = flags & TAGMEM_VIEWS ? tag : 15 - tag;
		expect_equal(*(char *)tagmem_with_tag(page + tag, other), tag + 1);
		expect_equal(outside_tag(tag * 4096 + 16), tag);
		expect_equal(outside_byte("mem", tag * 4096 + tag), tag + 1);
		char name[] = { 'v', 'i', 'e', 'w', 's', '/', "0123456789abcdef"[tag], 0 };
		expect_equal(outside_byte(name, tag * 4096 + tag), tag + 1);
	}
	/* And what is stored outside they show. */
	set_outside_tags(0, 4096, '9');
	expect_equal(tagmem_get_tag(base + 4095), 9);
	int mem = open_of(object, "mem", O_RDWR);
	expect_equal(pwrite(mem, "x", 1, 77), 1);
	close(mem);
	expect_equal(*(char *)tagmem_with_tag(base + 77, 9), 'x');
	expect_equal(tagmem_detach(base), 0);
}

static void test_sync(unsigned flags) {
	char *base = attach(object, flags);
	int view = open_of(object, "views/4", O_RDWR);
	expect_equal(tagmem_set_tags(tagmem_with_tag(base, 0), 4096), 0);
	char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, view, 0);
	expect_equal(load_signal(mapped), SIGBUS);
	char *pointer = tagmem_with_tag(base, 4);
	expect_equal(tagmem_set_tags(pointer, 4096), 0);
	pointer[5] = 'v';
	expect_equal(tagmem_sync(pointer, 4096), 0);
	expect_equal(load_signal(mapped), 0);
	expect_equal(mapped[5], 'v');
	/* Taken away again. */
	expect_equal(tagmem_set_tags(tagmem_with_tag(base, 3), 16), 0);
	expect_equal(tagmem_sync(base + 1, 1), 0);
	expect_equal(load_signal(mapped), SIGBUS);
	expect_equal(tagmem_sync(base, 0), 0);
	expect_errno(tagmem_sync(base, TAGMEM_OBJECT_MAX + 1), EINVAL);
	expect_errno(tagmem_sync(base + 4096, TAGMEM_OBJECT_MAX), EINVAL);
	munmap(mapped, 4096);
	close(view);
	expect_equal(tagmem_detach(base), 0);
}

static void test_nothing_left(unsigned flags) {
	count_of_mappings();
	long mappings = count_of_mappings(), files = count_of_files();
	for (int round = 0; round < 3; round++) {
		char *base = attach(object, flags);
		char *pointer = tagmem_with_tag(base + 8192, 3);
		expect_equal(tagmem_set_tags(pointer, 4096), 0);
		*pointer = 1;
		tagmem_close_page((uintptr_t)pointer);
		expect_equal(tagmem_detach(base), 0);
		expect_equal(load_signal(pointer), SIGSEGV);
		expect_errno(tagmem_get_tag(pointer), EFAULT);
		expect_errno(tagmem_set_tags(pointer, 16), EFAULT);
		expect_errno(tagmem_size(pointer), EINVAL);
		expect_errno(tagmem_detach(base), EINVAL);
	}
	expect_equal(count_of_mappings(), mappings);
	expect_equal(count_of_files(), files);
}

static void test_readonly(unsigned flags) {
	char *writable = attach(object, flags), *page = tagmem_with_tag(writable + 12288, 6);
	expect_equal(tagmem_set_tags(page, 4096), 0);
	*page = 'r';
	expect_equal(tagmem_detach(writable), 0);
	char *base = attach(object, flags | TAGMEM_READONLY), *pointer = tagmem_with_tag(base + 12288, 6);
	expect_equal(*pointer, 'r');
	expect_equal(store_signal(pointer, 's'), SIGSEGV);
	expect_equal(caught.si_code, SEGV_ACCERR);
	expect_equal(tagmem_get_tag(pointer), 6);
	expect_errno(tagmem_set_tags(pointer, 16), EACCES);
	expect_errno(tagmem_set_tags_zero(pointer, 16), EACCES);
	uint8_t tag = 1;
	expect_errno(tagmem_store_tags(pointer, &tag, 1), EACCES);
	expect(tagmem_resize(base, size / 2) != 0);
	expect_equal(tagmem_size(base), size);
	expect_equal(tagmem_detach(base), 0);
}

static void expect_refused(const char *directory, unsigned flags, int error) {
	errno = 0;
	void *base = tagmem_attach(directory, flags);
	expect_equal((uintptr_t)base, 0);
	expect_equal(errno, error);
}

static void test_errors(void) {
	long files = count_of_files(), mappings = count_of_mappings();
	char path[4200];
	expect_refused(object, 4, EINVAL);
	expect_refused(NULL, 0, EFAULT);
	expect_refused("", 0, ENOENT);
	expect_refused("/nowhere", 0, ENOENT);
	expect_refused("/tmp", 0, EOPNOTSUPP);
	expect_refused("/proc/self", 0, EOPNOTSUPP);
	snprintf(path, sizeof path, "%s/mem", object);
	expect_refused(path, 0, ENOTDIR);
	snprintf(path, sizeof path, "%s/../../untagged/attach-%d", object, getpid());
	expect_equal(mkdir(path, 0700), 0);
	expect_refused(path, 0, EOPNOTSUPP);
	expect_refused(path, TAGMEM_VIEWS, EOPNOTSUPP);
	rmdir(path);

	/* Files that are called the same, and are too large. */
	char directory[] = "/tmp/attach-XXXXXX";
	expect(mkdtemp(directory) != NULL);
	close(open_of(directory, "mem", O_RDWR | O_CREAT));
	close(open_of(directory, "tags", O_RDWR | O_CREAT));
	expect_refused(directory, 0, EOPNOTSUPP);
	set_size(directory, (off_t)1 << 40);
	expect_refused(directory, 0, EOPNOTSUPP);
	set_size(directory, ((off_t)1 << 40) + 1);
	expect_refused(directory, 0, EINVAL);
	snprintf(path, sizeof path, "%s/mem", directory);
	unlink(path);
	snprintf(path, sizeof path, "%s/tags", directory);
	unlink(path);
	rmdir(directory);

	int local = 0;
	expect_errno(tagmem_detach(&local), EINVAL);
	expect_errno(tagmem_detach(NULL), EINVAL);
	expect_errno(tagmem_detach((void *)-1), EINVAL);
	expect_errno(tagmem_size(&local), EINVAL);
	expect_errno(tagmem_resize(&local, 0), EINVAL);
	expect_errno(tagmem_sync(&local, 1), EINVAL);
	char *base = attach(object, 0);
	expect_errno(tagmem_detach(base + 16), EINVAL);
	expect_errno(tagmem_detach(tagmem_with_tag(base, 1)), EINVAL);
	expect_errno(tagmem_resize(base, TAGMEM_OBJECT_MAX + 1), EINVAL);
	expect_equal(tagmem_detach(base), 0);
	expect_equal(count_of_files(), files);
	expect_equal(count_of_mappings(), mappings);
}

/* As many as there is room for; each is an attachment of its own. */
static void test_many(void) {
	long files = count_of_files();
	char *bases[TAGMEM_SPANS + 1];
	int count = 0;
	while (count <= TAGMEM_SPANS && (bases[count] = tagmem_attach(object, count & 1 ? TAGMEM_VIEWS : 0))) count++;
	expect_equal(errno, ENOMEM);
	expect(count >= 4 && count < TAGMEM_SPANS);
	for (int i = 0; i < count; i++) {
		expect_equal(tagmem_get_tag(bases[i] + 12288), 6);
		for (int j = 0; j < i; j++) expect(bases[i] != bases[j]);
	}
	for (int i = 0; i < count; i++) expect_equal(tagmem_detach(bases[i]), 0);
	expect_equal(count_of_files(), files);
	char *base = attach(object, 0);
	expect_equal(tagmem_detach(base), 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	catch_signals();
	for (unsigned flags = 0; flags < 2; flags++) {
		test_layout(flags);
		test_sync(flags);
		test_nothing_left(flags);
		test_readonly(flags);
	}
	test_errors();
	test_many();
	return finish();
}
