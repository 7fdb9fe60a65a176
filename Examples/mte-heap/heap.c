// A small heap for machines with Arm's Memory Tagging Extension.
//
// A block is whole granules of 16 bytes, all with one tag, that of the pointer that malloc returns. Before it is a granule
// with its header. So what reaches over a block's end, or into a block that was freed, has the wrong tag:
//
//     | header |  block, tag 5   | header | free, tag 9 | header |  block, tag 12 …
//
// - malloc takes a random tag that neither neighbour has, nor had the block that was there before.
// - Headers have a tag of their own, which no block gets.
// - free retags the block, so that its pointers are of no use any more. It loads through the pointer that it is given: of a
//   block that is free already, that is a fault.
// - A realloc that shrinks zeroes what it gives up, and retags it. One that fails changes nothing.
// - Nothing has tag 0: a pointer that does not come from here finds nothing.
//
// What MTE does not see: bytes behind the end within the last granule, and a pointer that happens to have the right tag.
//
// Nothing in it is for one machine: it needs ACLE's intrinsics, mmap with PROT_MTE, and prctl.
#include "heap.h"

#include <arm_acle.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_GET_TAGGED_ADDR_CTRL 56
#define PR_TAGGED_ADDR_ENABLE 1UL
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_SYNC (1UL << 1)
#define PR_MTE_TAG_SHIFT 3
#endif

enum {
    granule = 16,
    step = 1 << 16,          // granules that the heap grows by: 1 MiB
    capacity = 1 << 24,      // granules that it may have: 256 MiB of address space
    exact_bins = 32,         // free blocks below 32 granules are in a list for each size,
    bins_of_power = 4,       // larger ones in four lists for each power of two
    bin_count = exact_bins + bins_of_power * 20,
};

// MARK: Blocks
//
// A block is known by the number of its header's granule. Its own granules are those behind it.

struct header {
    uint32_t size;        // granules of the block
    uint32_t size_before; // those of the block before it, 0: it is the first
    uint32_t padding;     // granules at its end that are not its user's: 0 or 1, with the tag of headers
    uint16_t is_free;
    uint16_t old_tag;     // that of the pointers to what was here last
};

// In a free block.
struct links {
    uint32_t next, before; // headers in the same list, 0: none
};

static char *heap;         // granule 0, with no tag
static char *headers;      // the same with the tag of headers
static uint32_t end;       // the header behind the last block, which is never free and has no size
static unsigned header_tag;
static uint32_t bins[bin_count];
static uint64_t bin_bits[2]; // those that are not empty
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct header *header_of(uint32_t at) { return (struct header *)(headers + (size_t)at * granule); }

static uint32_t next_of(uint32_t at) { return at + 1 + header_of(at)->size; }

// What a granule of the heap is accessed with: a pointer with its own tag.
static void *tagged(uint32_t at) { return __arm_mte_get_tag(heap + (size_t)at * granule); }

static unsigned tag_of(const void *pointer) {
    return (unsigned)__builtin_ctzll(__arm_mte_exclude_tag((void *)pointer, 0));
}

static unsigned tag_at(uint32_t at) { return tag_of(tagged(at)); }

// The block that a pointer is to.
static uint32_t block_of(const void *pointer) {
    return (uint32_t)(__arm_mte_ptrdiff((char *)pointer, heap) / granule) - 1;
}

static void set_tags(void *pointer, uint32_t granules) {
#ifdef TAGMEM_H
    // libtagmem's arm_acle.h. Where the device checks, each store of a tag is a request to it.
    if (granules > 1) {
        tagmem_set_tags(pointer, (size_t)granules * granule);
        return;
    }
#endif
    for (uint32_t i = 0; i < granules; i++)
        __arm_mte_set_tag((char *)pointer + (size_t)i * granule);
}

// Gives a block a new tag: the result is a pointer with it.
static void *retag(uint32_t at) {
    struct header *header = header_of(at);
    uint32_t next = next_of(at);
    uint64_t excluded = 1 | 1u << header_tag | 1u << header->old_tag;
    if (header->size_before)
        excluded |= 1u << tag_at(at - 1);
    if (next != end)
        excluded |= 1u << tag_at(next + 1);
    void *pointer = __arm_mte_create_random_tag(heap + (size_t)(at + 1) * granule, excluded);
    set_tags(pointer, header->size - header->padding);
    set_tags(header_of(next) - header->padding, header->padding);
    return pointer;
}

// MARK: Free blocks

static unsigned bin_of(uint32_t size) {
    if (size < exact_bins)
        return size;
    unsigned power = 31 - (unsigned)__builtin_clz(size);
    return exact_bins + (power - 5) * bins_of_power + (size >> (power - 2) & (bins_of_power - 1));
}

static void insert(uint32_t at) {
    unsigned bin = bin_of(header_of(at)->size);
    struct links *links = tagged(at + 1);
    links->next = bins[bin];
    links->before = 0;
    if (bins[bin])
        ((struct links *)tagged(bins[bin] + 1))->before = at;
    bins[bin] = at;
    bin_bits[bin / 64] |= 1ull << bin % 64;
    header_of(at)->is_free = 1;
}

static void take(uint32_t at) {
    unsigned bin = bin_of(header_of(at)->size);
    struct links links = *(struct links *)tagged(at + 1);
    if (links.next)
        ((struct links *)tagged(links.next + 1))->before = links.before;
    if (links.before)
        ((struct links *)tagged(links.before + 1))->next = links.next;
    else if (!(bins[bin] = links.next))
        bin_bits[bin / 64] &= ~(1ull << bin % 64);
    header_of(at)->is_free = 0;
}

// A free block of at least that size, taken, or 0.
static uint32_t find(uint32_t size) {
    unsigned bin = bin_of(size);
    for (uint32_t at = bins[bin]; at; at = ((struct links *)tagged(at + 1))->next) {
        if (header_of(at)->size >= size)
            return take(at), at;
    }
    for (unsigned word = ++bin / 64; word < 2; word++) {
        uint64_t bits = word == bin / 64 ? bin_bits[word] & -(1ull << bin % 64) : bin_bits[word];
        if (bits) {
            uint32_t at = bins[word * 64 + (unsigned)__builtin_ctzll(bits)];
            return take(at), at;
        }
    }
    return 0;
}

// Sets a block's size, which what comes behind it knows as well.
static void set_size(uint32_t at, uint32_t size) {
    header_of(at)->size = size;
    header_of(at + 1 + size)->size_before = size;
}

// Puts a header where none was.
static void put_header(uint32_t at, uint32_t size_before) {
    set_tags(header_of(at), 1);
    *header_of(at) = (struct header){.size_before = size_before};
}

// Makes the last granules of a block a block of its own, in use as the first is: its header.
static uint32_t split(uint32_t at, uint32_t size) {
    uint32_t rest = header_of(at)->size - size, second = at + 1 + size;
    put_header(second, size);
    set_size(second, rest - 1);
    header_of(at)->size = size;
    return second;
}

// MARK: The whole heap

static int start(void) {
    // Tags are checked in whoever calls this first, and in the threads that it begins from then on.
    unsigned long control = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeul << PR_MTE_TAG_SHIFT;
    long before = prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
    if ((before < 0 || !(before & PR_MTE_TCF_SYNC)) && prctl(PR_SET_TAGGED_ADDR_CTRL, control, 0, 0, 0) != 0)
        return -1;
    char *memory = mmap(NULL, (size_t)capacity * granule, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -1;
    char *tagged = __arm_mte_create_random_tag(memory, 1);
    header_tag = tag_of(tagged);
    headers = tagged;
    heap = memory;
    return 0;
}

// Frees a block that is in no list.
static void release(uint32_t at) {
    header_of(at)->padding = 0;
    header_of(at)->old_tag = (uint16_t)tag_at(at + 1);
    retag(at);
    uint32_t next = next_of(at), size = header_of(at)->size, size_before = header_of(at)->size_before;
    if (next != end && header_of(next)->is_free) {
        take(next);
        size += 1 + header_of(next)->size;
    }
    uint32_t before = at - 1 - size_before;
    if (size_before && header_of(before)->is_free) {
        take(before);
        size += 1 + size_before;
        at = before;
    }
    set_size(at, size);
    insert(at);
}

// Makes room for a block of that size behind the last one: free.
static int grow(uint32_t size) {
    if (!heap && start() != 0)
        return -1;
    // The first header is granule 1, as 0 means none.
    uint32_t first = end ? end : 1, steps = (size + 2 + step - 1) / step;
    uint32_t room = steps * step, old_end = end ? end + 1 : 0, new_end = old_end + room;
    if (size >= capacity || room > capacity - old_end)
        return -1;
    if (mprotect(heap + (size_t)old_end * granule, (size_t)room * granule, PROT_READ | PROT_WRITE | PROT_MTE) != 0)
        return -1;
    if (!end) {
        set_tags(headers, 1);
        put_header(first, 0);
    }
    end = new_end - 1;
    put_header(end, 0);
    set_size(first, end - 1 - first);
    release(first);
    return 0;
}

static uint32_t granules_of(size_t size) {
    if (size > (size_t)capacity * granule)
        return capacity;
    return size ? (uint32_t)((size + granule - 1) / granule) : 1;
}

// A block of at least that size, in no list, or 0.
static uint32_t allocate(uint32_t size) {
    uint32_t at = find(size);
    if (!at && grow(size) == 0)
        at = find(size);
    if (!at)
        errno = ENOMEM;
    return at;
}

// What is behind the first `size` granules of a block is its user's no more: a block again, or padding.
static uint32_t give_up(uint32_t at, uint32_t size) {
    uint32_t rest = header_of(at)->size - size;
    header_of(at)->padding = rest == 1;
    return rest > 1 ? split(at, size) : 0;
}

// The header of a block in use. The load finds a pointer that has lost its block; no lock is held then, as a handler may
// leave by siglongjmp.
static uint32_t used_block(const void *pointer) {
    (void)*(const volatile char *)pointer;
    uint32_t at = block_of(pointer);
    if ((uintptr_t)pointer % granule || header_of(at)->is_free)
        abort();
    return at;
}

// MARK: What programs call

void *heap_malloc(size_t size) { return heap_aligned_alloc(granule, size); }

void *heap_calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = heap_malloc(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *heap_aligned_alloc(size_t alignment, size_t size) {
    if (alignment & (alignment - 1) || !alignment || alignment > (size_t)capacity * granule / 4) {
        errno = EINVAL;
        return NULL;
    }
    uint32_t wanted = granules_of(size), unit = alignment > granule ? (uint32_t)(alignment / granule) : 1;
    void *block = NULL;
    pthread_mutex_lock(&lock);
    // As much more as it takes to leave a free block before it.
    uint32_t at = allocate(unit > 1 ? wanted + unit + 1 : wanted);
    if (at) {
        uint32_t misplaced = (uint32_t)(((uintptr_t)heap / granule + at + 1) % unit);
        if (misplaced) {
            uint32_t skipped = unit - misplaced + (misplaced == unit - 1 ? unit : 0), first = at;
            at = split(first, skipped - 1);
            insert(first);
        }
        uint32_t rest = give_up(at, wanted);
        if (rest)
            insert(rest);
        block = retag(at);
    }
    pthread_mutex_unlock(&lock);
    return block;
}

void heap_free(void *block) {
    if (!block)
        return;
    uint32_t at = used_block(block);
    pthread_mutex_lock(&lock);
    release(at);
    pthread_mutex_unlock(&lock);
}

static size_t size_of(uint32_t at) { return (size_t)(header_of(at)->size - header_of(at)->padding) * granule; }

size_t heap_usable_size(void *block) { return block ? size_of(used_block(block)) : 0; }

static void *move(void *block, size_t size, size_t old_size) {
    void *other = heap_malloc(size);
    if (other) {
        memcpy(other, block, old_size);
        heap_free(block);
    }
    return other;
}

void *heap_realloc(void *block, size_t size) {
    if (!block)
        return heap_malloc(size);
    uint32_t at = used_block(block);
    size_t old_size = size_of(at);
    if (size > old_size)
        return move(block, size, old_size);
    pthread_mutex_lock(&lock);
    memset((char *)block + size, 0, old_size - size);
    uint32_t rest = give_up(at, granules_of(size));
    if (rest)
        release(rest);
    else
        set_tags(header_of(next_of(at)) - header_of(at)->padding, header_of(at)->padding);
    pthread_mutex_unlock(&lock);
    return block;
}
