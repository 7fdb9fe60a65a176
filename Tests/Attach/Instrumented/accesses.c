/*
 * Accesses of instrumented code: all sizes, on one granule and two, on one page and two; what faults, where, and that a
 * store which faults has stored nothing.
 */
#include "fault.h"

#include <stdbool.h>

#define NOINLINE __attribute__((noinline))

typedef struct { char bytes[3]; } three;
typedef struct { char bytes[40]; } forty;
typedef struct { long words[64]; } large;
typedef struct __attribute__((packed)) { char c; long l; int i; } packed;
typedef struct { unsigned a : 3, b : 7, c : 22; unsigned long d : 40; } bits;
typedef __int128 sixteen;
typedef float vector __attribute__((vector_size(16)));

#define SCALARS(DO) DO(char) DO(short) DO(int) DO(long) DO(float) DO(double) DO(sixteen) DO(vector)
#define AGGREGATES(DO) DO(three) DO(forty) DO(large) DO(packed)

#define LOADER(type) \
	static NOINLINE void load_##type(const char *from) { \
		type value = *(const type *)from; \
		__asm__ volatile("" : : "r"(&value) : "memory"); \
	}
#define STORER(type) \
	static NOINLINE void store_##type(char *to) { *(type *)to = *(const type *)(const void *)ones; }

static const char ones[sizeof(large)] __attribute__((aligned(64))) = { 1, 1, 1 };

SCALARS(LOADER) SCALARS(STORER)
AGGREGATES(LOADER) AGGREGATES(STORER)

/* Atomic accesses of C, which fault also where they would not store. */
#define ATOMICS(type) \
	static NOINLINE void add_##type(char *to) { __atomic_fetch_add((type *)to, 1, __ATOMIC_SEQ_CST); } \
	static NOINLINE void exchange_##type(char *to) { __atomic_exchange_n((type *)to, (type)1, __ATOMIC_SEQ_CST); } \
	static NOINLINE void compare_##type(char *to) { \
		type expected = (type)0x55; \
		__atomic_compare_exchange_n((type *)to, &expected, (type)1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	} \
	static NOINLINE void load_atomic_##type(char *from) { (void)__atomic_load_n((type *)from, __ATOMIC_SEQ_CST); } \
	static NOINLINE void store_atomic_##type(char *to) { __atomic_store_n((type *)to, (type)1, __ATOMIC_SEQ_CST); }
ATOMICS(char) ATOMICS(short) ATOMICS(int) ATOMICS(long)

static NOINLINE void set_bits(char *to) { ((bits *)to)->b = 5; }
static NOINLINE void increment(char *to) { ++*(int *)to; }
static NOINLINE void scale(char *to) { *(double *)to *= 3; }
static NOINLINE void add_to(char *to) { *(long *)to += 77; }
static NOINLINE void fill_loop(char *to) { for (int i = 0; i < 32; i++) ((volatile char *)to)[i] = 1; }
static NOINLINE void sum_loop(char *from) {
	for (int i = 0; i < 8; i++) (void)((const volatile int *)from)[i];
}

struct access {
	const char *name;
	void (*run)(char *);
	int size, alignment;
};

#define LOAD(type) { "load " #type, (void (*)(char *))load_##type, sizeof(type), _Alignof(type) },
#define STORE(type) { "store " #type, store_##type, sizeof(type), _Alignof(type) },
#define ATOMIC(type) \
	{ "add " #type, add_##type, sizeof(type), sizeof(type) }, { "exchange " #type, exchange_##type, sizeof(type), sizeof(type) }, \
	{ "compare " #type, compare_##type, sizeof(type), sizeof(type) }, \
	{ "atomic load " #type, load_atomic_##type, sizeof(type), sizeof(type) }, \
	{ "atomic store " #type, store_atomic_##type, sizeof(type), sizeof(type) },

static const struct access accesses[] = {
	SCALARS(LOAD) SCALARS(STORE) AGGREGATES(LOAD) AGGREGATES(STORE)
	ATOMIC(char) ATOMIC(short) ATOMIC(int) ATOMIC(long)
	{ "bits", set_bits, 4, 4 }, { "++", increment, 4, 4 }, { "*=", scale, 8, 8 }, { "+=", add_to, 8, 8 },
	{ "fill loop", fill_loop, 32, 1 }, { "sum loop", sum_loop, 32, 4 },
};

/* An access at `offset`, where only the granule at `bad` has another tag. Compilers make some of several instructions, in
 * whatever order: the one that faults has its own address, and others may have stored elsewhere before. */
static void check(const struct access *access, long offset, long bad) {
	static char saved[pages * page];
	bool is_one = (access->size <= 8 && access->size != 3) || strstr(access->name, "vector");
	long end = offset + access->size, first_bad = offset > bad ? offset : bad, end_bad = end < bad + 16 ? end : bad + 16;
	bool is_bad = first_bad < end_bad;
	memcpy(saved, memory, sizeof saved);
	set_tag(bad, other_tag);
	long where = FAULT_OF(access->run(memory + offset));
	set_tag(bad, tag);
	bool is_right = is_one || !is_bad ? where == (is_bad ? first_bad : no_fault) : where >= first_bad && where < end_bad;
	if (!is_right) {
		printf("%s at 0x%lx, bad granule 0x%lx: fault at 0x%lx\n", access->name, offset, bad, where);
		failures++;
	}
	if (is_bad && is_one && memcmp(saved, memory, sizeof saved) == 0) return;
	for (long i = offset - 600; i < end + 600; i++) {
		bool may_change = i >= offset && i < end && (!is_bad || (!is_one && (i < bad || i >= bad + 16)));
		if (saved[i] == memory[i] || may_change) continue;
		printf("%s at 0x%lx, bad granule 0x%lx: byte 0x%lx has changed\n", access->name, offset, bad, i);
		failures++;
		break;
	}
	memcpy(memory + offset, saved + offset, (size_t)access->size);
}

int main(int count, char **arguments) {
	attach(count, arguments);
	catch_faults();
	for (size_t i = 0; i < sizeof accesses / sizeof *accesses && failures < 20; i++) {
		const struct access *access = &accesses[i];
		/* Around a granule's end in the middle of a page, and around a page's end. Misaligned as far as C's compilers let it. */
		for (int around = 0; around < 2; around++) {
			long middle = around ? 2 * page : page + 160;
			for (long offset = middle - 48; offset < middle + 32; offset += access->alignment) {
				for (long bad = middle - 32; bad <= middle + 16; bad += 16) check(access, offset, bad);
			}
		}
	}
	/* Pages that were closed for one access are not closed for ever. */
	for (int i = 0; i < 3; i++) {
		volatile char *open = memory;
		for (long at = 0; at < pages * page; at += 512) (void)open[at];
	}
	for (int i = 0; i < pages; i++) EXPECT(is_open(memory + i * page), 1);
	EXPECT(tagmem_detach(base), 0);
	return failures != 0;
}
