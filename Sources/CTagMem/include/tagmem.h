/*
 * libtagmem: programs attached to a tagmemd device. C11 and C++; thread-safe. Functions return -1, NULL or MAP_FAILED and
 * set errno, as those of libc do; what is async-signal-safe says so.
 *
 * An attachment is one span of address space in which an object is mapped sixteen times, once for each address tag: the
 * tag is bits 43:40 of the address, the object's offset bits 39:0. So ordinary code uses tagged pointers, and a tag is
 * taken off or put in by one instruction.
 *
 *                      | aliases (default)                        | views (TAGMEM_VIEWS)
 *    ------------------+------------------------------------------+----------------------------------------------
 *    who checks        | instrumented code (tagmem-instrumented)  | the device: every access of any code
 *    plain code        | is not checked                           | is checked: pages of one tag by the MMU at full
 *                      |                                          | speed, pages of several tags by trap
 *    tag loads, stores | at memory speed                          | a request each
 *    a tag store is in | this program at once; all other files    | everywhere, when it returns
 *    force for         | when they are read or written; mappings  |
 *                      | of views elsewhere at tagmem_sync        |
 *    needs             | `mem` and `tags`                         | the same, and the views
 */
#ifndef TAGMEM_H
#define TAGMEM_H

#include <stddef.h>
#include <stdint.h>

#include <tagmem/ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define TAGMEM_TAG_SHIFT 40 /* the address tag is bits 43:40 of an attached address */
#define TAGMEM_SPAN_SHIFT 44 /* a span is 16 TiB, and aligned to that */
#define TAGMEM_TAG_MASK ((uintptr_t)0xf << TAGMEM_TAG_SHIFT)
#define TAGMEM_SPANS 8 /* the address space has so many; a process can have fewer attachments */
#define TAGMEM_OBJECT_MAX ((uintptr_t)1 << TAGMEM_TAG_SHIFT) /* bytes of an object that can be attached: 1 TiB */

#include <tagmem/straight.h>

/* MARK: Pointers: any pointer into a span. Async-signal-safe. */

static inline unsigned tagmem_tag(const void *pointer) { return (unsigned)((uintptr_t)pointer >> TAGMEM_TAG_SHIFT) & 0xf; }

static inline void *tagmem_strip(const void *pointer) { return (void *)((uintptr_t)pointer & ~TAGMEM_TAG_MASK); }

/* `pointer` with the tag `tag`, of which bits 3:0 count. */
static inline void *tagmem_with_tag(const void *pointer, unsigned tag) {
	return (void *)(((uintptr_t)pointer & ~TAGMEM_TAG_MASK) | (uintptr_t)(tag & 0xf) << TAGMEM_TAG_SHIFT);
}

/* MARK: Attachments */

#define TAGMEM_VIEWS 1 /* map the views: the device checks */
#define TAGMEM_READONLY 2 /* map for reading only */

/* Attaches the object whose files are in `directory` (such as /mnt/tagmem/tagged/heap), and returns its first byte's
 * address, with tag 0. The object may be empty, and may grow: its new memory is there, at the same addresses.
 *
 * Errors: EINVAL (flags; an object above 1 TiB), EOPNOTSUPP (an untagged object, no object's directory), ENOMEM (no room
 * in the address space: some five attachments are possible), those of open(2) and mmap(2).
 *
 * What is behind the object's end is SIGBUS, as behind the end of any file that is mapped; so is all of it once the daemon
 * is gone. A child of fork has the parent's attachments: the memory and the tags are shared. */
void *tagmem_attach(const char *directory, unsigned flags);

/* Takes an attachment away: nothing of it is left, also if it was in use. `base` is what tagmem_attach returned; EINVAL
 * for anything else. Nothing may be using it at the time, as with munmap. */
int tagmem_detach(void *base);

/* The object's size in bytes now, and another one: new memory is zero with tag 0; ENOSPC if there is none, EINVAL above
 * TAGMEM_OBJECT_MAX. Async-signal-safe. For these and tagmem_sync `pointer` is any into the span; EINVAL for others. */
int64_t tagmem_size(const void *pointer);
int tagmem_resize(const void *pointer, uint64_t size);

/* All that was stored in `length` bytes, and their tags, is in force for mappings of others when this returns. Errors are
 * those of msync(2); EIO also tells of an asynchronous fault that the device found in what was stored. */
int tagmem_sync(const void *pointer, size_t length);

/* MARK: Tags of memory. Unchecked. Async-signal-safe.
 *
 * EINVAL for a tag above 15 or a length that is not whole granules, EFAULT where there is no memory with tags (what comes
 * before it is done), EACCES for stores to memory that may not be written. An address within a granule means the granule;
 * length 0 is no error. Stores to neighbouring granules by several threads or programs do not disturb each other. In
 * the way `views` also EIO, ENOTCONN and others, when the daemon cannot be asked. */

/* The tag of the granule that holds *pointer; -1 if there is no memory. */
int tagmem_get_tag(const void *pointer);
/* STG, or DC GVA for ranges: `pointer`'s own tag for the `length` bytes at it. That of one granule is stored without a
 * call. */
int tagmem_set_tags_of_range(const void *pointer, size_t length);
static inline int tagmem_set_tags(const void *pointer, size_t length) {
	if (length == TAGMEM_GRANULE && tagmem_set_tag_straight((uintptr_t)pointer)) return 0;
	return tagmem_set_tags_of_range(pointer, length);
}
/* STZG, or DC GZVA: the same, and the bytes are 0. */
int tagmem_set_tags_zero(void *pointer, size_t length);
/* The tags of `count` granules from the one of *pointer on, a byte each. */
int tagmem_load_tags(const void *pointer, uint8_t *tags, size_t count);
int tagmem_store_tags(const void *pointer, const uint8_t *tags, size_t count);

/* Whether an access of `length` bytes at `pointer` would be without a tag check fault, whatever is checked now: the
 * first byte that would not, or NULL. Memory without tags, and what is not mapped, has no tag check faults. */
void *tagmem_first_mismatch(const void *pointer, size_t length);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
