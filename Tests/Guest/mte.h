/// What the guest's programs share: MTE as Linux gives it, and the tag instructions.
#ifndef GUEST_MTE_H
#define GUEST_MTE_H

// Every source file includes this one first.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arm_acle.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { page_size = 4096, granule_size = 16, granules_per_page = page_size / granule_size, tag_count = 16 };

#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

/// `PR_SET_TAGGED_ADDR_CTRL`, with the tagged address ABI: modes are PR_MTE_TCF_…, and of the tags in the mask IRG may
/// choose.
static inline int set_mode(unsigned long modes, unsigned long included) {
    return prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | modes | included << PR_MTE_TAG_SHIFT, 0, 0, 0);
}

static inline unsigned pointer_tag(const void *pointer) {
    return (unsigned)((uintptr_t)pointer >> 56 & 15);
}

/// The pointer with another tag; the other bits of its top byte are 0.
static inline void *with_tag(const void *pointer, unsigned tag) {
    return (void *)(((uintptr_t)pointer & (UINTPTR_MAX >> 8)) | (uintptr_t)tag << 56);
}

/// IRG; the compiler takes __arm_mte_create_random_tag for a function of its arguments, and calls it once.
static inline void *insert_random_tag(const void *pointer, uint64_t excluded) {
    void *result;
    __asm__ volatile("irg %0, %1, %2" : "=r"(result) : "r"(pointer), "r"(excluded));
    return result;
}

/// The allocation tag of the granule.
static inline unsigned memory_tag(const void *pointer) {
    uintptr_t result = 0;
    __asm__ volatile("ldg %0, [%1]" : "+r"(result) : "r"(pointer) : "memory");
    return (unsigned)(result >> 56);
}

/// Sets the allocation tags, and returns the pointer with that tag.
static inline void *set_tags(void *pointer, size_t size, unsigned tag) {
    char *tagged = with_tag(pointer, tag);
    for (size_t i = 0; i < size; i += granule_size)
        __arm_mte_set_tag(tagged + i);
    return tagged;
}

/// The next of a sequence of numbers; never 0, which it must not start from.
static inline uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static inline void set_tco(bool off) {
    if (off)
        __asm__ volatile("msr tco, #1" ::: "memory");
    else
        __asm__ volatile("msr tco, #0" ::: "memory");
}

static inline bool tco(void) {
    uint64_t value;
    __asm__ volatile("mrs %0, tco" : "=r"(value)::"memory");
    return (value >> 25 & 1) != 0;
}

#endif
