/*
 * What functions of libc do when their ranges are checked. There is no other libc to ask: these are its names, and a
 * static program has them once.
 */
#ifndef TAGMEM_WORK_H
#define TAGMEM_WORK_H

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns") /* no memcpy instead of these loops: it is made of them */
#endif

typedef uint64_t __attribute__((aligned(1), may_alias)) work_u64;
typedef uint32_t __attribute__((aligned(1), may_alias)) work_u32;
typedef uint16_t __attribute__((aligned(1), may_alias)) work_u16;

/* Up to 16 bytes: all are loaded before any is stored. */
static inline void move_few(char *to, const char *from, size_t size) {
	if (size >= 8) {
		uint64_t first = *(const work_u64 *)from, last = *(const work_u64 *)(from + size - 8);
		*(work_u64 *)to = first;
		*(work_u64 *)(to + size - 8) = last;
	} else if (size >= 4) {
		uint32_t first = *(const work_u32 *)from, last = *(const work_u32 *)(from + size - 4);
		*(work_u32 *)to = first;
		*(work_u32 *)(to + size - 4) = last;
	} else if (size >= 2) {
		uint16_t first = *(const work_u16 *)from, last = *(const work_u16 *)(from + size - 2);
		*(work_u16 *)to = first;
		*(work_u16 *)(to + size - 2) = last;
	} else if (size) {
		*to = *from;
	}
}

static inline __m128i load16(const char *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline void store16(char *to, __m128i value) { _mm_storeu_si128((__m128i *)to, value); }

/* memmove. */
static inline void move(char *to, const char *from, size_t size) {
	if (size <= 16) {
		move_few(to, from, size);
	} else if ((uintptr_t)to - (uintptr_t)from >= size) {
		/* Upwards: what is stored is behind what is still to be loaded, but for the last 16 bytes. */
		__m128i last = load16(from + size - 16);
		size_t at = 0;
		for (; at + 64 < size; at += 64) {
			__m128i a = load16(from + at), b = load16(from + at + 16), c = load16(from + at + 32),
				d = load16(from + at + 48);
			store16(to + at, a);
			store16(to + at + 16, b);
			store16(to + at + 32, c);
			store16(to + at + 48, d);
		}
		for (; at + 16 < size; at += 16)
			store16(to + at, load16(from + at));
		store16(to + size - 16, last);
	} else {
		__m128i first = load16(from);
		size_t at = size;
		for (; at > 64; at -= 64) {
			__m128i a = load16(from + at - 16), b = load16(from + at - 32), c = load16(from + at - 48),
				d = load16(from + at - 64);
			store16(to + at - 16, a);
			store16(to + at - 32, b);
			store16(to + at - 48, c);
			store16(to + at - 64, d);
		}
		for (; at > 16; at -= 16)
			store16(to + at - 16, load16(from + at - 16));
		store16(to, first);
	}
}

static inline void fill(char *to, unsigned char value, size_t size) {
	uint64_t word = value * 0x0101010101010101;
	if (size >= 16) {
		__m128i vector = _mm_set1_epi64x((long long)word);
		for (size_t at = 0; at + 16 < size; at += 16)
			store16(to + at, vector);
		store16(to + size - 16, vector);
	} else if (size >= 8) {
		*(work_u64 *)to = word;
		*(work_u64 *)(to + size - 8) = word;
	} else if (size >= 4) {
		*(work_u32 *)to = (uint32_t)word;
		*(work_u32 *)(to + size - 4) = (uint32_t)word;
	} else {
		for (size_t at = 0; at < size; at++)
			*(volatile char *)(to + at) = (char)value;
	}
}

/* Where two ranges begin to differ, or `size`. */
static inline size_t common(const unsigned char *a, const unsigned char *b, size_t size) {
	size_t at = 0;
	for (; at + 16 <= size; at += 16) {
		__m128i equal = _mm_cmpeq_epi8(load16((const char *)a + at), load16((const char *)b + at));
		unsigned different = ~(unsigned)_mm_movemask_epi8(equal) & 0xffff;
		if (different)
			return at + (size_t)__builtin_ctz(different);
	}
	while (at < size && a[at] == b[at])
		at++;
	return at;
}

#endif
