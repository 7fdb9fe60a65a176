#include "work.h"

#include <complex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15 + (hash >> 29); }

/* Loops over an array of each type: conversions, arithmetic, comparisons, shifts; vectors, where the compiler makes them. */
#define LOOPS(name, type) \
	static uint64_t name(char *memory) { \
		type *a = (type *)memory, *b = (type *)(memory + 4112), *c = (type *)(memory + 8208); \
		enum { n = 40 }; \
		uint64_t hash = sizeof(type); \
		type sum = 0, least = 0; \
		int count = 0; \
		for (int i = 0; i < n; i++) { \
			a[i] = (type)(i * 37 % 101 - (i & 3)); \
			b[i] = (type)(i * i % 57 + 1); \
		} \
		for (int i = 0; i < n; i++) { \
			c[i] = a[i] * b[i] + (type)3; \
		} \
		for (int i = 0; i < n; i++) { \
			sum += c[i]; \
			least = c[i] < least ? c[i] : least; \
			count += a[i] > b[i]; \
		} \
		for (int i = n - 1; i >= 0; i--) { \
			a[i] -= c[i] / b[i]; \
			b[i] += a[n - 1 - i]; \
		} \
		for (int i = 0; i < n; i += 3) { \
			c[i]++; \
			hash = mix(hash, (uint64_t)(int64_t)(a[i] + b[i] - c[i])); \
		} \
		return mix(mix(mix(hash, (uint64_t)(int64_t)sum), (uint64_t)count), (uint64_t)(int64_t)least); \
	}
LOOPS(loops_i8, int8_t)
LOOPS(loops_u8, uint8_t)
LOOPS(loops_i16, int16_t)
LOOPS(loops_u16, uint16_t)
LOOPS(loops_i32, int32_t)
LOOPS(loops_u32, uint32_t)
LOOPS(loops_i64, int64_t)
LOOPS(loops_u64, uint64_t)
LOOPS(loops_i128, __int128)
LOOPS(loops_float, float)
LOOPS(loops_double, double)
LOOPS(loops_long_double, long double)

static uint64_t bits(char *memory) {
	struct fields {
		unsigned a : 3, b : 7, c : 1, d : 21;
		int64_t e : 33, f : 12;
		bool g;
	} *fields = (struct fields *)(memory + 3);
	uint32_t *words = (uint32_t *)(memory + 256);
	uint64_t hash = 0;
	for (int i = 0; i < 30; i++) {
		fields[i].a = (unsigned)i;
		fields[i].b = (unsigned)(i * 5);
		fields[i].c = (unsigned)i / 2;
		fields[i].d = (unsigned)i * 77777;
		fields[i].e = -i * 123456789l;
		fields[i].f = i - 15;
		fields[i].g = i % 3;
		fields[i].c ^= fields[i].g;
		hash = mix(hash, (uint64_t)(fields[i].a + fields[i].b * fields[i].d + fields[i].c + fields[i].e * fields[i].f));
	}
	for (unsigned i = 0; i < 200; i += 7) {
		words[i / 32] |= 1u << i % 32;
		words[(i + 9) / 32] &= ~(1u << (i + 9) % 32);
		words[(i * 3) % 200 / 32] ^= 1u << i % 32;
		words[i % 8] = words[i % 8] << (i % 31) | words[i % 8] >> (32 - i % 31 - 1);
		hash = mix(hash, (uint64_t)__builtin_popcount(words[i % 8]) + (words[i / 32] >> i % 32 & 1));
		hash += (uint64_t)__builtin_clz(words[i % 8] | 1) * (uint64_t)__builtin_ctzll(words[i % 8] | 0x10000);
		words[(i + 1) % 8] = __builtin_bswap32(words[i % 8]);
	}
	return hash;
}

struct big {
	char name[13];
	double values[5];
	struct {
		short x, y;
		struct big *next;
	} place;
	uint8_t tail[37];
};

static struct big by_value(struct big big, int i) {
	big.values[i % 5] += i;
	big.place.x -= (short)i;
	big.tail[i % 37] ^= 0x55;
	return big;
}

static uint64_t structs(char *memory) {
	struct big *all = (struct big *)memory;
	uint64_t hash = 0;
	for (int i = 0; i < 12; i++) {
		struct big big = {.name = "name", .values = {1, 2, 3}, .place = {.x = (short)i, .y = 7, .next = &all[(i + 1) % 12]}};
		all[i] = big;
	}
	for (int i = 0; i < 40; i++) {
		all[i % 12] = by_value(all[(i * 5) % 12], i);
		all[i % 12].place.next = &all[(i * 7) % 12];
		struct big *next = all[i % 12].place.next->place.next;
		hash = mix(hash, (uint64_t)(next - all) + (uint64_t)next->place.x + (uint64_t)next->values[i % 5]);
		hash += next->tail[i % 37];
	}
	return hash;
}

static uint64_t atomics(char *memory) {
	_Atomic uint8_t *a8 = (_Atomic uint8_t *)memory;
	_Atomic int16_t *a16 = (_Atomic int16_t *)(memory + 16);
	_Atomic uint32_t *a32 = (_Atomic uint32_t *)(memory + 32);
	_Atomic int64_t *a64 = (_Atomic int64_t *)(memory + 48);
	atomic_flag *flag = (atomic_flag *)(memory + 64);
	void *_Atomic *pointer = (void *_Atomic *)(memory + 72);
	uint64_t hash = 0;
	for (int i = 0; i < 20; i++) {
		hash = mix(hash, (uint64_t)(atomic_fetch_add(a8, 3) + atomic_fetch_or(a16, (int16_t)i) + atomic_fetch_xor(a32, 77)));
		hash += (uint64_t)(atomic_fetch_and(a64, ~(int64_t)i) + atomic_fetch_sub(a64, i));
		int64_t expected = i % 2 ? *a64 : 12345678;
		hash += atomic_compare_exchange_strong(a64, &expected, *a64 + i) + (uint64_t)expected;
		uint8_t small = *a8;
		hash += atomic_compare_exchange_weak(a8, &small, (uint8_t)(small * 3));
		hash += (uint64_t)atomic_exchange(a16, (int16_t)(i * 1000)) + atomic_flag_test_and_set(flag);
		atomic_store_explicit(pointer, memory + i, memory_order_seq_cst);
		atomic_thread_fence(memory_order_seq_cst);
		hash += (uint64_t)((char *)atomic_load_explicit(pointer, memory_order_acquire) - memory);
		++*a32;
		*a32 <<= 1;
	}
	return hash;
}

static uint64_t strings(char *memory) {
	char *a = memory, *b = memory + 1000;
	wchar_t *wide = (wchar_t *)(memory + 2000);
	uint64_t hash = 0;
	for (size_t i = 0; i < 25; i++) {
		memset(a, 'a' + (int)i, 300);
		a[i * 11] = '\0';
		strcpy(b + i, a);
		strcat(b, "tail");
		hash = mix(hash, strlen(b) + (uint64_t)(strchr(a, 'b') != NULL) + (uint64_t)(strrchr(b, 'l') - b));
		hash += (uint64_t)(strcmp(a, b) > 0) + (uint64_t)(memcmp(a, b + i, 200) < 0) + strspn(b, "abc") + strcspn(b, "t");
		memcpy(a + 400, a, i);
		memcpy(a + 500, b, 16);
		memcpy(a + 533, b, 32);
		memcpy(a + 600, b, 100);
		memmove(a + 3, a, 250);
		__builtin_memset(b + 300, 0, 48);
		hash += (uint64_t)(memchr(a, 0, 400) != NULL ? (char *)memchr(a, 0, 400) - a : 0);
		hash += (uint64_t)(strstr(b, "tail") - b) + strnlen(b, 20) + (uint64_t)strncmp(a, b, 7);
		int length = snprintf(b, 400, "%s %d %g %08x %ls", "text", (int)i, (double)i / 7, (unsigned)i * 99999, L"wide");
		hash += (uint64_t)length + (uint64_t)strtol(b + 5, NULL, 10) + (uint64_t)atof(b + 7);
		wcscpy(wide, L"a wide string");
		hash += wcslen(wide) + (uint64_t)(wcschr(wide, 's') - wide);
		int x = 0, y = 0;
		sscanf(b, "%*s %d %d", &x, &y);
		hash += (uint64_t)(x + y);
	}
	return hash;
}

typedef uint64_t (*function)(uint64_t, uint64_t);
static uint64_t add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t subtract(uint64_t a, uint64_t b) { return a - b; }
static uint64_t multiply(uint64_t a, uint64_t b) { return a * b; }
static uint64_t divide(uint64_t a, uint64_t b) { return a / (b | 1); }

static uint64_t sum_of(int count, ...) {
	va_list list;
	uint64_t sum = 0;
	va_start(list, count);
	for (int i = 0; i < count; i++) {
		sum += i % 2 ? (uint64_t)va_arg(list, double) : va_arg(list, uint64_t);
	}
	va_end(list);
	return sum;
}

static int compare(const void *a, const void *b) {
	int x, y;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

static uint64_t calls(char *memory) {
	function *functions = (function *)memory;
	int *numbers = (int *)(memory + 128);
	jmp_buf *buffer = (jmp_buf *)(memory + 2048);
	volatile uint64_t hash = 0;
	functions[0] = add;
	functions[1] = subtract;
	functions[2] = multiply;
	functions[3] = divide;
	for (uint64_t i = 0; i < 40; i++) {
		hash = functions[(hash ^ i) % 4](hash, i * 0x123456789);
		numbers[i] = (int)(i * 7919 % 101);
	}
	qsort(numbers, 40, sizeof *numbers, compare);
	int key = numbers[13];
	hash += (uint64_t)((int *)bsearch(&key, numbers, 40, sizeof *numbers, compare) - numbers);
	hash += sum_of(6, hash, 2.5, hash >> 3, 1e6, hash << 2, -0.0);
	int times = setjmp(*buffer);
	hash = mix(hash, (uint64_t)times);
	if (times < 3) {
		longjmp(*buffer, times + 1);
	}
	return hash;
}

static uint64_t numbers(char *memory) {
	double complex *values = (double complex *)memory;
	float *floats = (float *)(memory + 1024);
	long double *longs = (long double *)(memory + 2048);
	_Bool *flags = (_Bool *)(memory + 3000);
	uint64_t hash = 0;
	for (int i = 0; i < 20; i++) {
		values[i] = i + (20 - i) * I;
		floats[i] = (float)i / 3;
		longs[i] = (long double)i / 7;
	}
	for (int i = 1; i < 20; i++) {
		values[i] = values[i] * values[i - 1] / (values[i] + 1.0);
		floats[i] = __builtin_sqrtf(floats[i] * floats[i]) + (float)(int)longs[i];
		longs[i] = __builtin_fabsl(longs[i] - longs[i - 1] * 3) + (long double)floats[i];
		flags[i] = longs[i] > floats[i] || floats[i] != floats[i];
		hash = mix(hash, (uint64_t)(int64_t)(creal(values[i]) * 1000) + (uint64_t)(int64_t)(floats[i] * 1000) + flags[i]);
		hash += (uint64_t)(unsigned long)longs[i] + (uint64_t)(short)floats[i] + (uint64_t)(uint32_t)longs[i];
		hash ^= (uint64_t)(__int128)(floats[i] * 100);
	}
	return hash;
}

typedef int32_t v8 __attribute__((vector_size(32)));
typedef double v4 __attribute__((vector_size(32)));
typedef uint8_t v16 __attribute__((vector_size(16), aligned(1)));

static uint64_t vectors(char *memory) {
	v8 *ints = (v8 *)memory;
	v4 *doubles = (v4 *)(memory + 1024);
	v16 *bytes = (v16 *)(memory + 2049);
	int32_t *gathered = (int32_t *)(memory + 4096);
	uint64_t hash = 0;
	for (int i = 0; i < 16; i++) {
		ints[i] = (v8){i, 2, 3, 4, 5, 6, 7, -i} * (i + 1);
		doubles[i] = (v4){i, 1, 2, 3} / 3.0;
		for (int j = 0; j < 16; j++) {
			bytes[i][j] = (uint8_t)(i * j);
		}
	}
	for (int i = 1; i < 16; i++) {
		ints[i] = (ints[i] + ints[i - 1]) ^ (ints[i] > ints[i - 1]);
		doubles[i] *= doubles[i - 1] + 1.5;
		bytes[i] = (bytes[i] + bytes[i - 1]) | (bytes[i] == 4);
		hash = mix(hash, (uint64_t)(ints[i][i % 8] + (int)doubles[i][i % 4] + bytes[i][i]));
	}
	for (int i = 0; i < 64; i++) { /* indices in memory, and conditions */
		gathered[i] = ((int32_t *)ints)[(i * 13) % 128];
		if (gathered[i] > 100) {
			gathered[i] = gathered[(i + 5) % 64];
		}
	}
	for (int i = 0; i < 64; i++) {
		hash = mix(hash, (uint64_t)gathered[i]);
	}
	return hash;
}

static uint64_t unaligned(char *memory) {
	struct __attribute__((packed)) packed {
		char a;
		uint64_t b;
		double c;
		uint16_t d;
		float e;
		__int128 f;
	} *all = (struct packed *)(memory + 4096 - 17 * 3); /* over pages' ends */
	uint64_t hash = 0;
	for (int i = 0; i < 120; i++) {
		all[i].a = (char)i;
		all[i].b = (uint64_t)i * 0x123456789abc;
		all[i].c = i * 0.5;
		all[i].d = (uint16_t)(i * 777);
		all[i].e = (float)i;
		all[i].f = (__int128)i << 70 | (unsigned)i;
	}
	for (int i = 0; i < 120; i++) {
		all[i].b += (uint64_t)all[(i * 7) % 120].c + all[i].d;
		all[i].f -= all[i].b;
		hash = mix(hash, all[i].b + (uint64_t)(all[i].f >> 64) + (uint64_t)all[i].e);
	}
	return hash;
}

uint64_t work(char *memory) {
	static uint64_t (*const parts[])(char *) = {loops_i8, loops_u8, loops_i16, loops_u16, loops_i32, loops_u32, loops_i64,
	    loops_u64, loops_i128, loops_float, loops_double, loops_long_double, bits, structs, atomics, strings, calls, numbers,
	    vectors, unaligned};
	uint64_t hash = 0;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		hash = mix(hash, parts[i](memory + (i % 3) * 64));
	}
	return hash;
}
