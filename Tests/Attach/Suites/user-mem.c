/* System calls on buffers of which a part has another tag than the pointer. After Linux's check_user_mem. */
#include "suites.h"

#include <sys/uio.h>

enum call { call_read, call_write, call_readv, call_writev, call_count };
static const char *const names[] = {"read", "write", "readv", "writev"};

enum { length = 2 * page_size, to_the_end = 0 };
static const size_t sizes[] = {1, 2, 3, 8, granule_size, 2 * granule_size, page_size},
		    offsets[] = {0, 1, granule_size - 1};

static char expected[length], actual[length];

static char byte_of_file(size_t at) { return (char)('a' + at % 23); }
static char byte_of_memory(size_t at) { return (char)('A' + at % 19); }

/* Without tag checks. */
static void copy(void *to, const void *from, size_t size) {
	set_tco(true);
	memcpy(to, from, size);
	set_tco(false);
}

static ssize_t do_call(enum call call, int fd, char *buffer, size_t size) {
	struct iovec vector = {buffer, size};
	switch (call) {
	case call_read: return read(fd, buffer, size);
	case call_write: return write(fd, buffer, size);
	case call_readv: return readv(fd, &vector, 1);
	default: return writev(fd, &vector, 1);
	}
}

struct memory {
	char *bytes; /* with the tag of all but the bad ones */
	size_t bad, bad_end;
	int file;
};

/* The first bytes of a call that it may access. */
static size_t good_bytes(const struct memory *memory, size_t at, size_t size) {
	if (at + size <= memory->bad || at >= memory->bad_end)
		return size;
	return at < memory->bad ? memory->bad - at : 0;
}

static void try(const struct memory *memory, enum mode mode, enum call call, size_t at, size_t size) {
	bool is_read = call == call_read || call == call_readv;
	size_t file_at = at % granule_size * 3, good = mode == mode_sync ? good_bytes(memory, at, size) : size;
	for (size_t i = 0; i < length; i++) {
		expected[i] = byte_of_memory(i);
		actual[i] = byte_of_file(i);
	}
	copy(memory->bytes, expected, length);
	expect_equal(pwrite(memory->file, actual, length, 0), length);
	expect_equal(lseek(memory->file, (off_t)file_at, SEEK_SET), file_at);
	clear_fault();
	errno = 0;
	ssize_t result = do_call(call, memory->file, memory->bytes + at, size);
	if (good == 0) {
		expect_equal(result, -1);
		expect_equal(errno, EFAULT);
		result = 0;
	}
#ifdef __aarch64__
	/* Linux may stop before the last good byte. */
	if (good < size && result < 0 && errno == EFAULT)
		result = 0;
	expect(good == size ? result == (ssize_t)size : result <= (ssize_t)good);
#else
	expect_equal(result, good);
#endif
	expect_equal(lseek(memory->file, 0, SEEK_CUR), file_at + (size_t)result);
	/* Never a signal; what was not done has changed nothing. */
	expect_no_fault();
	for (ssize_t i = 0; i < result && is_read; i++)
		expected[at + (size_t)i] = byte_of_file(file_at + (size_t)i);
	copy(actual, memory->bytes, length);
	expect_equal(memcmp(actual, expected, length), 0);
	for (size_t i = 0; i < length; i++) {
		bool is_written = !is_read && i >= file_at && i < file_at + (size_t)result;
		expected[i] = is_written ? byte_of_memory(at + i - file_at) : byte_of_file(i);
	}
	expect_equal(pread(memory->file, actual, length, 0), length);
	expect_equal(memcmp(actual, expected, length), 0);
}

static void check(bool is_shared, enum mode mode, enum call call, size_t tag_offset, size_t tag_length) {
	struct memory memory = {.bad = tag_offset, .file = tmpfs_file(length)};
	int before = check_failures;
	enter(mode, nonzero_tags, 0);
	char *mapping = map_kind((struct kind){.is_shared = is_shared}, length);
	memory.bytes = tag_randomly(mapping, length);
	/* With the right tags all of it. */
	memory.bad = memory.bad_end = length;
	try(&memory, mode, call, 0, length);
	memory.bad = tag_offset;
	memory.bad_end = tag_length == to_the_end ? length : tag_offset + tag_length;
	unsigned tag = pointer_tag(memory.bytes);
	unsigned other = pointer_tag(insert_random_tag(memory.bytes, __arm_mte_exclude_tag(memory.bytes, 0)));
	expect(other != tag && other != 0);
	set_tags(memory.bytes + memory.bad, memory.bad_end - memory.bad, other);
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
			try(&memory, mode, call, offsets[i], sizes[j]);
	}
	/* Over the page's end. */
	try(&memory, mode, call, page_size - 3, granule_size);
	if (check_failures != before)
		printf("that was %s, shared %d, mode %d, bad from %zu to %zu\n", names[call], is_shared, mode, memory.bad,
		       memory.bad_end);
	expect_equal(munmap(mapping, length), 0);
	close(memory.file);
}

int main(void) {
	begin();
	catch_faults(0);
	for (enum call call = call_read; call < call_count; call++) {
		for (int is_shared = 0; is_shared < 2; is_shared++) {
			for (enum mode mode = mode_none; mode <= mode_async; mode++) {
				check(is_shared, mode, call, 0, to_the_end);
				check(is_shared, mode, call, 0, granule_size);
				check(is_shared, mode, call, granule_size, granule_size);
				check(is_shared, mode, call, page_size, to_the_end);
			}
		}
	}
	return finish();
}
