/// The same where the memory is that of a device, attached by libtagmem: its pointers have the tag in bits 43:40.
#ifndef GUEST_MTE_ATTACHED_H
#define GUEST_MTE_ATTACHED_H

#include <tagmem.h>
#include <tagmem/compat.h>

/// The bits of an address, which are not those of a tag.
static const uintptr_t address_bits = ~((uintptr_t)0xff << 56 | TAGMEM_TAG_MASK);

/// A pointer whose tag can be computed with; there is nothing. Where the top byte is not 0 it has the tag, as on Arm.
static inline void *nowhere(void) {
    return (void *)((uintptr_t)1 << 60 | 0x1000);
}

static inline unsigned pointer_tag(const void *pointer) {
    uintptr_t top = (uintptr_t)pointer >> 56;
    return top != 0 ? top & 15 : tagmem_tag(pointer);
}

/// The pointer with another tag.
static inline void *with_tag(const void *pointer, unsigned tag) {
    if ((uintptr_t)pointer >> 56 != 0)
        return (void *)(((uintptr_t)pointer & ~((uintptr_t)15 << 56)) | (uintptr_t)tag << 56);
    return tagmem_with_tag(pointer, tag);
}

static inline void *insert_random_tag(const void *pointer, uint64_t excluded) {
    return (void *)__arm_mte_create_random_tag(pointer, excluded);
}

static inline void *add_tag(const void *pointer) {
    return (void *)__arm_mte_increment_tag(pointer, 1);
}

static inline void *subtract_tag(const void *pointer) {
    return add_tag(pointer);
}

/// The allocation tag of the granule.
static inline unsigned memory_tag(const void *pointer) {
    return pointer_tag(__arm_mte_get_tag(with_tag(pointer, 0)));
}

/// Sets the allocation tags, and returns the pointer with that tag. Many at once, as each may be a request.
static inline void *set_tags(void *pointer, size_t size, unsigned tag) {
    char *tagged = with_tag(pointer, tag);
    if (size > page_size)
        tagmem_set_tags(tagged, size);
    else
        for (size_t i = 0; i < size; i += granule_size)
            __arm_mte_set_tag(tagged + i);
    return tagged;
}

/// One access of 8 bytes at any address.
typedef uint64_t any_word __attribute__((aligned(1), may_alias));

static inline uint64_t load_word(const void *pointer) {
    return *(const volatile any_word *)pointer;
}

static inline void store_word(void *pointer, uint64_t value) {
    *(volatile any_word *)pointer = value;
}

static inline void set_tco(bool off) {
    tagmem_set_tco(off);
}

static inline bool tco(void) {
    return tagmem_tco();
}

#endif
