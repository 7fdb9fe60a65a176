/* Buffers that are filled: each byte, around their ends, and as blocks. After Linux's check_buffer_fill. */
#include "suites.h"

static const size_t sizes[] = {1, 555, 1033, granule_size - 1, granule_size, page_size - 1, page_size, page_size + 1};
enum { size_count = sizeof sizes / sizeof *sizes };
static const char *const names[] = {"none", "sync", "async"};

/* A buffer with tags amid memory with tag 0. */
struct buffer {
	char *memory, *bytes;
	size_t size, before, length;
};

static struct buffer make(struct kind kind, size_t size, size_t before, size_t after) {
	struct buffer buffer = {.size = size, .before = before, .length = before + whole_granules(size) + after};
	buffer.memory = map_kind(kind, buffer.length);
	buffer.bytes = tag_randomly(buffer.memory + before, size);
	return buffer;
}

static void end(const struct buffer *buffer) { expect_equal(munmap(buffer->memory, buffer->length), 0); }

/* Nothing around the buffer has changed, and it has its tags. */
static void expect_alone(const struct buffer *buffer) {
	size_t whole = whole_granules(buffer->size), after = buffer->length - buffer->before - whole;
	expect_bytes(buffer->memory, buffer->before, 0);
	expect_bytes(buffer->bytes + buffer->size, whole - buffer->size, 0);
	expect_bytes(with_tag(buffer->bytes + whole, 0), after, 0);
	expect_tags(buffer->memory, buffer->before, 0);
	expect_tags(buffer->bytes, whole, pointer_tag(buffer->bytes));
	expect_tags(with_tag(buffer->bytes + whole, 0), after, 0);
}

static void by_byte(enum mode mode, struct kind kind) {
	enter(mode, nonzero_tags, 0);
	for (size_t i = 0; i < size_count; i++) {
		struct buffer buffer = make(kind, sizes[i], page_size, granule_size);
		clear_fault();
		for (size_t j = 0; j < sizes[i]; j++)
			buffer.bytes[j] = '1';
		expect_no_fault();
		expect_bytes(buffer.bytes, sizes[i], '1');
		expect_alone(&buffer);
		end(&buffer);
	}
}

/* Downwards over the begin: each byte before it is a fault of its own; of many bytes some, in all of their places in a
 * granule. */
static void underflow(enum mode mode, size_t range) {
	enter(mode, nonzero_tags, 0);
	for (size_t i = 0; i < size_count; i++) {
		struct buffer buffer = make((struct kind){0}, sizes[i], range, 0);
		clear_fault();
		for (size_t j = sizes[i]; j-- > 0;)
			buffer.bytes[j] = '1';
		expect_no_fault();
		size_t step = range / granule_size - 1, stores = 0;
		for (size_t j = 1; j <= range; j += step == 0 ? 1 : step, stores++)
			expect_bad_store(mode, buffer.bytes - j, false);
		expect_bytes(buffer.bytes, sizes[i], '1');
		size_t changed = 0;
		for (size_t j = 0; j < range; j++)
			changed += buffer.memory[j] != 0;
		expect_equal(changed, mode == mode_sync ? 0 : stores);
		if (mode == mode_sync)
			expect_alone(&buffer);
		end(&buffer);
	}
}

/* Upwards over the end: what is left of the last granule may be written. */
static void overflow(enum mode mode, size_t range) {
	enter(mode, nonzero_tags, 0);
	for (size_t i = 0; i < size_count; i++) {
		struct buffer buffer = make((struct kind){0}, sizes[i], 0, range);
		size_t whole = whole_granules(sizes[i]);
		clear_fault();
		for (size_t j = 0; j < whole; j++)
			buffer.bytes[j] = '1';
		expect_no_fault();
		for (size_t j = whole; j < whole + range; j++)
			expect_bad_store(mode, buffer.bytes + j, false);
		expect_bytes(buffer.bytes, whole, '1');
		expect_bytes(own(buffer.bytes + whole), range, mode == mode_sync ? 0 : 'Z');
		end(&buffer);
	}
}

/* One instruction that does nothing else, such as to count. */
static __attribute__((noinline)) void store_byte(char *at, char value) { *(volatile char *)at = value; }

/* Many in a row, without a system call between them: in an asynchronous mode one signal may tell of all. */
static void in_a_row(enum mode mode) {
	enum { length = 512 };
	enter(mode, nonzero_tags, 0);
	struct buffer buffer = make((struct kind){0}, page_size, length, 0);
	clear_fault();
	for (int j = 1; j <= length; j++)
		store_byte(buffer.bytes - j, '2');
	sched_yield();
	int count = fault.count;
	expect(mode == mode_async ? count >= 1 && count < length : count == (mode == mode_sync ? length : 0));
	sched_yield();
	expect_equal(fault.count, count);
	if (mode == mode_async)
		expect_equal(fault.code, SEGV_MTEAERR);
	else if (mode == mode_sync)
		expect_equal(fault.address, (uintptr_t)buffer.memory);
	expect_bytes(buffer.memory, length, mode == mode_sync ? 0 : '2');
	end(&buffer);
}

/* Between memory with tags and without. */
static void by_block(enum mode mode) {
	enter(mode, nonzero_tags, 0);
	for (size_t i = 0; i < size_count; i++) {
		for (int tagged = 1; tagged < 4; tagged++) {
			struct buffer from = make((struct kind){0}, sizes[i], granule_size, granule_size), to = from;
			to = make((struct kind){0}, sizes[i], granule_size, granule_size);
			if (!(tagged & 1))
				from.bytes = set_tags(from.bytes, whole_granules(sizes[i]), 0);
			if (!(tagged & 2))
				to.bytes = set_tags(to.bytes, whole_granules(sizes[i]), 0);
			clear_fault();
			memset(from.bytes, '1', sizes[i]);
			memcpy(to.bytes, from.bytes, sizes[i]);
			expect_no_fault();
			expect_bytes(from.bytes, sizes[i], '1');
			expect_bytes(to.bytes, sizes[i], '1');
			expect_alone(&from);
			expect_alone(&to);
			end(&from);
			end(&to);
		}
	}
}

static void initial(struct kind kind) {
	enter(mode_sync, nonzero_tags, 0);
	for (size_t i = 0; i < size_count; i++) {
		clear_fault();
		char *memory = map_kind(kind, sizes[i]);
		expect_tags(memory, sizes[i], 0);
		expect_bytes(memory, sizes[i], kind.is_file ? file_byte : 0);
		/* What is behind the file, in its last page. */
		size_t whole = (sizes[i] + page_size - 1) & -(size_t)page_size;
		expect_tags(memory + sizes[i], whole - sizes[i], 0);
		expect_bytes(memory + sizes[i], whole - sizes[i], 0);
		expect_no_fault();
		expect_bad_store(mode_sync, with_tag(memory, 1), false);
		expect_equal(munmap(memory, sizes[i]), 0);
	}
}

int main(void) {
	begin();
	catch_faults(0);
	for (int is_protected = 0; is_protected < 2; is_protected++) {
		by_byte(mode_sync, (struct kind){.by_mprotect = is_protected});
		by_byte(mode_async, (struct kind){.by_mprotect = is_protected});
	}
	for (enum mode mode = mode_none; mode <= mode_async; mode++) {
		int before = check_failures;
		underflow(mode, granule_size);
		underflow(mode, page_size);
		overflow(mode, granule_size);
		in_a_row(mode);
		by_block(mode);
		if (check_failures != before)
			printf("that was in mode %s\n", names[mode]);
	}
	for (int i = 0; i < 8; i++)
		initial((struct kind){.is_file = i & 1, .is_shared = i & 2, .by_mprotect = i & 4});
	return finish();
}
