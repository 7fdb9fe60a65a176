/// Pointers and tags of a machine with MTE.
#ifndef GUEST_MTE_INSTRUCTIONS_H
#define GUEST_MTE_INSTRUCTIONS_H

/// The bits of an address, which are not those of a tag.
static const uintptr_t address_bits = UINTPTR_MAX >> 8;

/// A pointer whose tag can be computed with; there is nothing.
static inline void *nowhere(void) {
    return (void *)0x1000;
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

/// ADDG and SUBG with an offset of 0 bytes, and the tag's of 1.
static inline void *add_tag(const void *pointer) {
    void *result;
    __asm__ volatile("addg %0, %1, #0, #1" : "=r"(result) : "r"(pointer));
    return result;
}

static inline void *subtract_tag(const void *pointer) {
    void *result;
    __asm__ volatile("subg %0, %1, #0, #1" : "=r"(result) : "r"(pointer));
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

/// One access of 8 bytes at any address.
static inline uint64_t load_word(const void *pointer) {
    uint64_t value;
    __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(pointer) : "memory");
    return value;
}

static inline void store_word(void *pointer, uint64_t value) {
    __asm__ volatile("str %0, [%1]" ::"r"(value), "r"(pointer) : "memory");
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
