/* Every kind of memory in every mode: what is in it, and the bytes around. After Linux's check_mmap_options. */
#include "suites.h"

#include <fcntl.h>

static const size_t sizes[] = {1, 537, granule_size, page_size + 1};

struct options {
	enum mode mode;
	bool has_tco, is_store_only;
	unsigned address_tag; /* bits 63:60, and its handler wants to see them; 0: it has none, and does not */
	bool is_cleared; /* mprotect without PROT_MTE */
};

/* The first, some, and the last byte of a granule that the pointer's tag is not that of. */
static void around(const struct options *options, char *granule) {
	static const int places[] = {0, 5, granule_size - 1};
	enum mode store = options->has_tco ? mode_none : options->mode, load = options->is_store_only ? mode_none : store;
	bool exposes = options->address_tag != 0;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		expect_bad_store(store, granule + places[i], exposes);
		expect_bad_load(load, granule + places[i], exposes);
	}
}

static void check(struct kind kind, const struct options *options, size_t size) {
	size_t whole = whole_granules(size), length = whole + 2 * granule_size;
	char *memory = map_kind(kind, length), fresh = kind.is_file ? file_byte : 0;
	char *bytes = tag_randomly(memory + granule_size, size);
	unsigned tag = pointer_tag(bytes);
	if (options->is_cleared)
		expect_equal(mprotect(memory, length, read_write), 0);
	if (options->address_tag != 0)
		bytes = with_address_tag(bytes, options->address_tag);
	set_tco(options->has_tco);
	clear_fault();
	for (size_t i = 0; i < size; i++)
		bytes[i] = '1';
	expect_no_fault();
	expect_bytes(bytes, size, '1');
	expect_bytes(bytes + size, whole - size, fresh);
	expect_no_fault();
	around(options, bytes - granule_size);
	around(options, bytes + whole);
	/* From the last granule on into the next, and from the one before into the first. */
	enum mode mode = options->has_tco ? mode_none : options->mode;
	expect_bad_word(mode, bytes + whole - 3, bytes + whole, options->address_tag != 0);
	expect_bad_word(mode, bytes - 3, bytes - 3, options->address_tag != 0);
	set_tco(false);
	expect_tags(memory, granule_size, 0);
	expect_tags(memory + granule_size, whole, tag);
	expect_tags(memory + granule_size + whole, granule_size, 0);
	if (mode == mode_sync) {
		expect_bytes(with_tag(bytes, tag), size, '1');
		expect_bytes(memory, granule_size, fresh);
		expect_bytes(memory + granule_size + whole, granule_size, fresh);
	}
	expect_equal(munmap(memory, length), 0);
}

static void check_all(struct kind kind, const struct options *options) {
	int before = check_failures;
	catch_faults(options->address_tag != 0 ? SA_EXPOSE_TAGBITS : 0);
	enter(options->mode, nonzero_tags, options->is_store_only ? PR_MTE_STORE_ONLY : 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check(kind, options, sizes[i]);
	if (check_failures != before)
		printf("that was: file %d shared %d mprotect %d mode %d tco %d store-only %d bits 63:60 %u cleared %d\n",
		       kind.is_file, kind.is_shared, kind.by_mprotect, options->mode, options->has_tco,
		       options->is_store_only, options->address_tag, options->is_cleared);
}

#ifndef __aarch64__
/* Files that are not of tmpfs have no tags. */
static void refused(void) {
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	expect_errno(mmap(NULL, page_size, PROT_READ | PROT_MTE, MAP_PRIVATE, fd, 0), EINVAL);
	char *memory = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, fd, 0);
	expect(memory != MAP_FAILED);
	expect_errno(mprotect(memory, page_size, PROT_READ | PROT_MTE), EINVAL);
	munmap(memory, page_size);
	close(fd);
}
#endif

int main(void) {
	begin();
	for (int i = 0; i < 8; i++) {
		struct kind kind = {.is_file = i & 1, .is_shared = i & 2, .by_mprotect = i & 4};
		for (enum mode mode = mode_none; mode <= mode_async; mode++) {
			for (unsigned address_tag = 0; address_tag < 16; address_tag += 10) {
				struct options options = {.mode = mode, .address_tag = address_tag};
				check_all(kind, &options);
				options.is_cleared = true;
				options.is_store_only = has_store_only();
				check_all(kind, &options);
			}
		}
		check_all(kind, &(struct options){.mode = mode_sync, .has_tco = true});
		check_all(kind, &(struct options){.mode = mode_async, .has_tco = true, .address_tag = 15});
	}
#ifndef __aarch64__
	refused();
#endif
	return finish();
}
