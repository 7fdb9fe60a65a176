/* What a child of fork has of its parent's memory and tags. After Linux's check_child_memory. */
#include "suites.h"

static const size_t sizes[] = {1, 537, 1269, granule_size - 1, granule_size, page_size - 1, page_size, page_size + 1};

static enum mode mode;
static char *bytes;
static size_t size;

/* It has the parent's mode, handler, bytes and tags, and its stores around the buffer fault as the parent's would. */
static void in_child(void) {
	size_t whole = whole_granules(size);
	unsigned tag = pointer_tag(bytes), other = tag ^ 1;
	clear_fault();
	expect_bytes(bytes, size, 'p');
	for (size_t i = 0; i < size; i++)
		bytes[i] = 'c';
	expect_no_fault();
	expect_bytes(bytes, size, 'c');
	expect_tags(bytes, whole, tag);
	for (size_t i = 1; i <= granule_size; i++) {
		expect_bad_store(mode, bytes - i, false);
		expect_bad_store(mode, bytes + whole + i - 1, false);
	}
	expect_bytes(bytes, size, 'c');
	/* Another tag for its first granule, and a tag where the parent has none. */
	set_tags(bytes, granule_size, other);
	set_tags(bytes + whole, granule_size, other);
	expect_bad_store(mode, bytes, false);
	expect_good_store(with_tag(bytes + whole, other));
	*own(bytes) = 'C';
}

static void inheritance(struct kind kind) {
	size_t whole = whole_granules(size);
	char *memory = map_kind(kind, whole + 2 * granule_size);
	char fresh = kind.is_file ? file_byte : 0;
	bytes = tag_randomly(memory + granule_size, size);
	unsigned tag = pointer_tag(bytes), other = tag ^ 1;
	memset(bytes, 'p', size);
	expect_equal(status_of(in_child), 0);
	clear_fault();
	if (kind.is_shared) {
		expect_equal(memory_tag(bytes), other);
		expect_equal(memory_tag(bytes + whole), other);
		expect_equal(*own(bytes), 'C');
		expect_bytes(bytes + granule_size, size > granule_size ? size - granule_size : 0, 'c');
		expect_equal(*own(bytes + whole), *own(bytes + whole) == 'Y' ? 'Y' : 'Z');
	} else {
		/* Nothing of it. */
		expect_tags(bytes, whole, tag);
		expect_tags(memory, granule_size, 0);
		expect_tags(memory + granule_size + whole, granule_size, 0);
		expect_bytes(bytes, size, 'p');
		expect_bytes(memory, granule_size, fresh);
		expect_bytes(memory + granule_size + whole, granule_size, fresh);
	}
	expect_no_fault();
	expect_equal(munmap(memory, whole + 2 * granule_size), 0);
}

/* Changes of the parent after the fork are its own in private memory, and the child's as well in shared. */
static void afterwards(bool is_shared) {
	char *memory = map_kind((struct kind){.is_shared = is_shared}, page_size);
	char *first = set_tags(memory, page_size, 5);
	int ends[2];
	first[0] = 'a';
	expect_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		char byte;
		bool is_told = read(ends[0], &byte, 1) == 1;
		bool is_as_before = memory_tag(memory) == 5 && *own(memory) == 'a';
		bool is_changed = memory_tag(memory) == 6 && *own(memory) == 'b';
		_exit(is_told && (is_shared ? is_changed : is_as_before) ? 0 : 1);
	}
	set_tags(memory, granule_size, 6);
	*own(memory) = 'b';
	expect_equal(write(ends[1], "x", 1), 1);
	int status = -1;
	expect_equal(waitpid(child, &status, 0), child);
	expect_equal(status, 0);
	expect_equal(memory_tag(memory), 6);
	close(ends[0]);
	close(ends[1]);
	munmap(memory, page_size);
}

int main(void) {
	begin();
	catch_faults(0);
	for (int i = 0; i < 16; i++) {
		struct kind kind = {.is_file = i & 1, .is_shared = i & 2, .by_mprotect = i & 4};
		int before = check_failures;
		mode = i & 8 ? mode_async : mode_sync;
		enter(mode, nonzero_tags, 0);
		for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
			size = sizes[j];
			inheritance(kind);
		}
		if (check_failures != before)
			printf("that was case %d\n", i);
	}
	enter(mode_sync, nonzero_tags, 0);
	afterwards(false);
	afterwards(true);
	return finish();
}
