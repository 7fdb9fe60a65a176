/* Tags of memory against a model, of all functions, in both ways; bad arguments; the object's end. */
#include "object.h"

enum { size = 1 << 18, granules = size / 16, rounds = 3000 };

static uint8_t model[granules];
static uint32_t state = 1;

static uint32_t below(uint32_t limit) {
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(state >> 4) * limit >> 28);
}

static void compare(const char *base, const char *what) {
	static uint8_t have[granules], packed[granules / 2];
	expect_equal(tagmem_load_tags(base, have, granules), 0);
	int file = open_of(object, "tags", O_RDONLY);
	expect_equal(pread(file, packed, sizeof packed, 0), (long)sizeof packed);
	close(file);
	for (int i = 0; i < granules; i++) {
		unsigned outside = i & 1 ? packed[i / 2] >> 4 : packed[i / 2] & 0xf;
		if (have[i] == model[i] && outside == model[i]) continue;
		printf("%s: granule %d has tag %u, outside %u, not %u\n", what, i, have[i], outside, model[i]);
		check_failures++;
		return;
	}
}

static void test_model(unsigned flags) {
	set_size(object, 0);
	set_size(object, size);
	char *base = attach(object, flags);
	memset(model, 0, sizeof model);
	/* Requests take their time. */
	int count = flags & TAGMEM_VIEWS ? rounds / 10 : rounds;
	for (int round = 0; round < count; round++) {
		uint32_t first = below(granules), most = below(8) ? 40 : granules, length = below(most) + 1;
		uint8_t tags[granules], tag = (uint8_t)below(16);
		if (length > granules - first) length = granules - first;
		/* Any byte of the granule, and both forms of a pointer. */
		char *pointer = tagmem_with_tag(base + first * 16 + below(16), tag);
		if (round & 1) pointer = (char *)(((uintptr_t)pointer & ~TAGMEM_TAG_MASK) | (uintptr_t)tag << 56 | (uintptr_t)1 << 60);
		switch (below(4)) {
		case 0:
			expect_equal(tagmem_set_tags(pointer, length * 16), 0);
			memset(model + first, tag, length);
			break;
		case 1:
			expect_equal(tagmem_set_tags(pointer, 16), 0);
			model[first] = tag;
			break;
		case 2:
			for (uint32_t i = 0; i < length; i++) tags[i] = (uint8_t)below(16);
			expect_equal(tagmem_store_tags(pointer, tags, length), 0);
			memcpy(model + first, tags, length);
			break;
		default:
			expect_equal(tagmem_get_tag(pointer), model[first]);
			expect_equal(tagmem_load_tags(pointer, tags, length), 0);
			expect_equal(memcmp(tags, model + first, length), 0);
			break;
		}
	}
	compare(base, flags & TAGMEM_VIEWS ? "views" : "aliases");
	expect_equal(tagmem_detach(base), 0);
}

static void test_zero(unsigned flags) {
	char *base = attach(object, flags);
	static char bytes[size];
	int mem = open_of(object, "mem", O_RDWR);
	memset(bytes, 0x5a, size);
	expect_equal(pwrite(mem, bytes, size, 0), size);
	static const struct { uint32_t start, length; } ranges[] = {
		{ 16, 16 }, { 48, 48 }, { 4080, 32 }, { 8192, 4096 }, { 16384 + 16, 12288 }, { 65536, 131072 },
	};
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		uint32_t start = ranges[i].start, length = ranges[i].length;
		expect_equal(tagmem_set_tags_zero(tagmem_with_tag(base + start, i + 1), length), 0);
		memset(bytes + start, 0, length);
		for (uint32_t at = start; at < start + length; at += 16) expect_equal(tagmem_get_tag(base + at), i + 1);
	}
	static char have[size];
	expect_equal(pread(mem, have, size, 0), size);
	expect_equal(memcmp(have, bytes, size), 0);
	close(mem);
	expect_equal(tagmem_detach(base), 0);
}

static void test_errors(unsigned flags) {
	char *base = attach(object, flags);
	uint8_t tags[4] = { 1, 2, 16, 3 };
	expect_errno(tagmem_set_tags(base, 15), EINVAL);
	expect_errno(tagmem_set_tags(base, 17), EINVAL);
	expect_errno(tagmem_set_tags_zero(base, 8), EINVAL);
	expect_equal(tagmem_set_tags(tagmem_with_tag(base, 8), 64), 0);
	expect_errno(tagmem_store_tags(base, tags, 4), EINVAL);
	for (int i = 0; i < 4; i++) expect_equal(tagmem_get_tag(base + i * 16), 8);
	expect_equal(tagmem_set_tags(base, 0), 0);
	expect_equal(tagmem_set_tags_zero(base, 0), 0);
	expect_equal(tagmem_load_tags(base, tags, 0), 0);
	expect_equal(tagmem_store_tags(base, tags, 0), 0);

	/* Memory of the program that is no attachment's, and none. */
	char local[32];
	void *elsewhere[] = { local, NULL, (void *)-16, (void *)((uintptr_t)1 << 62), (char *)base + ((uintptr_t)1 << 47) };
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
		expect_errno(tagmem_get_tag(elsewhere[i]), EFAULT);
		expect_errno(tagmem_set_tags(elsewhere[i], 16), EFAULT);
		expect_errno(tagmem_set_tags_zero(elsewhere[i], 16), EFAULT);
		expect_errno(tagmem_load_tags(elsewhere[i], tags, 1), EFAULT);
		tags[0] = 1;
		expect_errno(tagmem_store_tags(elsewhere[i], tags, 1), EFAULT);
	}

	/* The end: what is before it is done. */
	char *last = tagmem_with_tag(base + size - 16, 11);
	expect_errno(tagmem_get_tag(base + size), EFAULT);
	expect_errno(tagmem_set_tags(base + size, 16), EFAULT);
	expect_errno(tagmem_set_tags(last, 4096), EFAULT);
	expect_equal(tagmem_get_tag(last), 11);
	last = tagmem_with_tag(last, 12);
	expect_errno(tagmem_set_tags_zero(last, 32), EFAULT);
	expect_equal(tagmem_get_tag(last), 12);
	tags[0] = tags[1] = 13;
	expect_errno(tagmem_store_tags(last, tags, 2), EFAULT);
	expect_equal(tagmem_get_tag(last), 13);
	expect_errno(tagmem_load_tags(last, tags, 2), EFAULT);
	expect_errno(tagmem_set_tags(base, TAGMEM_OBJECT_MAX), EFAULT);
	expect_errno(tagmem_set_tags(base, (size_t)-16), EFAULT);
	expect_equal(tagmem_get_tag(base), 0);
	expect_errno(tagmem_set_tags(base + TAGMEM_OBJECT_MAX - 16, 32), EFAULT);
	expect_equal(tagmem_detach(base), 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	for (unsigned flags = 0; flags < 2; flags++) {
		test_model(flags);
		test_zero(flags);
		test_errors(flags);
	}
	return finish();
}
