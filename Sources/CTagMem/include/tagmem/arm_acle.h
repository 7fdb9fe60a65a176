/*
 * Arm's intrinsics for MTE (ACLE, "Memory tagging intrinsics") for programs with attached memory. C and C++.
 *
 * Pointers have their address tag in bits 43:40; those that have bits 63:56 set, in bits 59:56, as on Arm: a result has
 * its argument's form. A pointer to memory that is no attachment's, such as the stack's, has tag 0 and keeps it.
 *
 * The tags to choose from are the thread's, as prctl(PR_SET_TAGGED_ADDR_CTRL) includes them; without it, all in memory that
 * tagmem_attach has attached. IRG's are random. LDG and STG raise the signals of the instructions: SIGSEGV where nothing is
 * mapped or where it may not be written, SIGBUS with BUS_ADRALN for an STG to no granule's first byte, SIGBUS behind an
 * object's end. errno is as it was. Async-signal-safe.
 */
#ifndef TAGMEM_ARM_ACLE_H
#define TAGMEM_ARM_ACLE_H

#include <tagmem.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)
void *tagmem_irg(const void *pointer, uint64_t mask);
void *tagmem_addg(const void *pointer, unsigned offset);
void *tagmem_ldg(const void *pointer);
void tagmem_stg(const void *pointer);
#pragma GCC visibility pop

/* GMI: the mask with the bit of the pointer's tag; its other bits stay. */
static inline uint64_t tagmem_gmi(const void *pointer, uint64_t mask) {
	uintptr_t address = (uintptr_t)pointer, top = address >> 56;
	unsigned tag = top ? top & 0xf : tagmem_is_attached(address) ? tagmem_tag(pointer) : 0;
	return mask | (uint64_t)1 << tag;
}

/* SUBP: the bytes between, without the tags. */
static inline ptrdiff_t tagmem_subp(const void *a, const void *b) {
	uintptr_t from = (uintptr_t)b, to = (uintptr_t)a;
	if (tagmem_is_attached(from)) from &= ~TAGMEM_TAG_MASK;
	if (tagmem_is_attached(to)) to &= ~TAGMEM_TAG_MASK;
	return (ptrdiff_t)((to - from) << 8) >> 8;
}

static inline void *tagmem_ldg_straight(const void *pointer) {
	uintptr_t address = (uintptr_t)pointer;
	const uint8_t *at = tagmem_straight(address);
	return at ? tagmem_with_tag(pointer, tagmem_load_straight_tag(at, address)) : tagmem_ldg(pointer);
}

static inline void tagmem_stg_straight(const void *pointer) {
	if (__builtin_expect((uintptr_t)pointer % TAGMEM_GRANULE || !tagmem_set_tag_straight((uintptr_t)pointer), 0))
		tagmem_stg(pointer);
}

#ifdef __cplusplus
}

template <typename T> static inline T *__arm_mte_create_random_tag(T *pointer, uint64_t mask) {
	return (T *)tagmem_irg((const void *)pointer, mask);
}
template <typename T> static inline T *__arm_mte_increment_tag(T *pointer, unsigned offset) {
	return (T *)tagmem_addg((const void *)pointer, offset);
}
template <typename T> static inline T *__arm_mte_get_tag(T *pointer) {
	return (T *)tagmem_ldg_straight((const void *)pointer);
}
static inline uint64_t __arm_mte_exclude_tag(const volatile void *pointer, uint64_t mask) {
	return tagmem_gmi((const void *)pointer, mask);
}
static inline void __arm_mte_set_tag(const volatile void *pointer) { tagmem_stg_straight((const void *)pointer); }
static inline ptrdiff_t __arm_mte_ptrdiff(const volatile void *a, const volatile void *b) {
	return tagmem_subp((const void *)a, (const void *)b);
}

#else

/* The pointer's type, of an array that of its address. */
#define tagmem_type_of(pointer) __typeof__(1 ? (pointer) : (pointer))

#define __arm_mte_create_random_tag(pointer, mask) \
	((tagmem_type_of(pointer))tagmem_irg((const void *)(pointer), (mask)))
#define __arm_mte_increment_tag(pointer, offset) \
	((tagmem_type_of(pointer))tagmem_addg((const void *)(pointer), (offset)))
#define __arm_mte_get_tag(pointer) ((tagmem_type_of(pointer))tagmem_ldg_straight((const void *)(pointer)))
#define __arm_mte_exclude_tag(pointer, mask) tagmem_gmi((const void *)(pointer), (mask))
#define __arm_mte_set_tag(pointer) tagmem_stg_straight((const void *)(pointer))
#define __arm_mte_ptrdiff(a, b) tagmem_subp((const void *)(a), (const void *)(b))

#endif

#endif
