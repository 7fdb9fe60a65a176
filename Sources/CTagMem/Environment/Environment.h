/*
 * What the files of Environment/ share.
 *
 * The environment is one span, whose offset 0 up is what the program's mmap gives. Its private memory is that of the
 * main object, at the same offsets where that can be. A block, 128 KiB whose tags are a page of `tags`, has one object for
 * all of its pages: memory that is shared with children is in objects of its own, and memory far behind the main
 * object's end (programs reserve address space that they never use) is elsewhere in it.
 */
#ifndef TAGMEM_ENVIRONMENT_H
#define TAGMEM_ENVIRONMENT_H

#include "Calls.h"

#include <string.h>
#include <sys/mman.h>

#pragma GCC visibility push(hidden)

enum { tagmem_block = 128 << 10, tagmem_path_max = 512 };

/* The span, or NULL: the program has none. */
extern struct tagmem_span *tagmem_environment;

/* MARK: Start.c */

/* The environment begins, if it has not. Constructors come in no order between libraries, and an allocator's first mmap
 * may come before this one's: all its memory must be the environment's. */
void tagmem_begin(void);
/* What begins with it. */
void tagmem_begin_forks(void);
void tagmem_begin_processor(void);

static inline uint64_t tagmem_round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

/* MARK: Locking.c: what maps is one after the other. SIGSEGV and SIGBUS stay unblocked. */

void tagmem_lock_environment(void);
void tagmem_unlock_environment(void);
void tagmem_reset_environment_lock(void);

/* MARK: Objects.c: all return 0 or an errno */

struct tagmem_object {
	char path[tagmem_path_max];
	int directory, mem, tags; /* `mem` is locked (flock) by who uses the object */
	uint64_t size; /* whole blocks */
	int process; /* that made it, and removes it when it ends; 0: it was there */
};

/* The path that the program was given; others have names of it. */
extern char tagmem_root[tagmem_path_max];

/* Opens an object, which must be nobody's (EBUSY); makes one beside the main one. */
int tagmem_open_object(struct tagmem_object *object, const char *path);
int tagmem_make_object(struct tagmem_object *object);
void tagmem_close_object(struct tagmem_object *object);
/* Closes and removes it, if this process has made it. */
void tagmem_remove_object(struct tagmem_object *object);
void tagmem_remove_leftovers(const char *path);
/* Makes it at least so large. What is new is zero with tag 0. */
int tagmem_grow_object(struct tagmem_object *object, uint64_t size);
/* Gets pages for a range, ENOMEM; gives those of a range back: it is zero with tag 0. */
int tagmem_get_pages(const struct tagmem_object *object, uint64_t start, uint64_t end);
void tagmem_give_pages(const struct tagmem_object *object, uint64_t start, uint64_t end);

/* MARK: Blocks.c: where the pages of the span are */

enum { tagmem_object_max = 256 };
/* The first is the main one. */
extern struct tagmem_object tagmem_objects[tagmem_object_max];

/* A range of the span in one piece of an object. */
struct tagmem_backing {
	struct tagmem_object *object; /* NULL: in none */
	uint64_t offset, length;
};
/* That at `offset`, up to `end` at most. */
struct tagmem_backing tagmem_backing_of(uint64_t offset, uint64_t end);

int tagmem_start_blocks(void);
/* Sees that the blocks of a range have memory: 0 or an errno. Those of shared memory must not have been used. */
int tagmem_back_private(uint64_t start, uint64_t end);
int tagmem_back_shared(uint64_t start, uint64_t end);
/* Blocks of an object for shared memory: taken, and mapped at a range. */
struct tagmem_shared_blocks {
	struct tagmem_object *object;
	uint64_t first, count;
};
int tagmem_take_shared(uint64_t count, struct tagmem_shared_blocks *blocks);
/* They are not used any more: their pages go, unless another process may have them. */
void tagmem_give_shared(const struct tagmem_shared_blocks *blocks);
int tagmem_back_with(uint64_t start, uint64_t end, const struct tagmem_shared_blocks *blocks);
/* Pages of a file that is no object's, in all aliases, which are closed. */
int tagmem_map_foreign_pages(uint64_t start, uint64_t end, int fd, uint64_t offset);
/* The same shared memory as at `from`, in the same place of the block. */
int tagmem_back_like(uint64_t from, uint64_t to, uint64_t length);
/* Whether blocks of the range are of the other kind than `is_shared`, so that it cannot be mapped there: the end of the first
 * that is, or 0. */
uint64_t tagmem_conflict(uint64_t start, uint64_t end, bool is_shared);
/* The pages of a range are not mapped any more: blocks without any lose their memory. */
void tagmem_release_blocks(uint64_t start, uint64_t end);
/* A child has the shared memory of now, too. */
void tagmem_share_blocks(void);
/* Maps the pages of a range as their blocks say, after something else was there. */
int tagmem_restore_pages(uint64_t start, uint64_t end);
/* The same for the tags of whole blocks. */
int tagmem_restore_tags(uint64_t start, uint64_t end);

/* MARK: Notes.c: what else there is to know of a page */

enum {
	tagmem_wiped_on_fork = 1, /* MADV_WIPEONFORK */
	tagmem_not_forked = 2, /* MADV_DONTFORK */
	tagmem_foreign = 4, /* another file is mapped there: it has no tags */
	tagmem_of_huge_pages = 8, /* MAP_HUGETLB */
	tagmem_may_get_tags = 16, /* foreign, and mprotect can give it tags */
	tagmem_noted_max = 31,
};
enum { tagmem_huge_page = 2 << 20 };
/* Whether a range begins or ends within a huge page: those are not divided. */
bool tagmem_cuts_huge_page(uint64_t start, uint64_t end);
int tagmem_start_notes(void);
unsigned tagmem_notes_of(uint64_t offset);
void tagmem_note(uint64_t start, uint64_t end, unsigned add, unsigned remove);
/* Whether there may be foreign pages. */
bool tagmem_has_foreign(void);
/* The end of the pages from `start` on, before `end`, with the same notes. */
uint64_t tagmem_end_of_notes(uint64_t start, uint64_t end);

/* MARK: Ranges.c: the memory of ranges; the environment's lock is held. 0 or an errno */

/* How often what is mapped has changed. */
extern uint64_t tagmem_changes;
/* Anonymous memory, where nothing is mapped. */
int tagmem_map_range(uint64_t start, uint64_t end, int protection, bool is_shared, bool reserves);
/* Shared memory, whose blocks are mapped there already. */
int tagmem_map_backed_range(uint64_t start, uint64_t end, int protection);
/* Shared memory that is mapped at `from`, in the same place of a block. */
int tagmem_map_shared_again(uint64_t from, uint64_t to, uint64_t length, int protection);
int tagmem_unmap_range(uint64_t start, uint64_t end);
/* ENOMEM where nothing is mapped: what comes before is done. */
int tagmem_protect_range(uint64_t start, uint64_t end, int protection);
/* Zero with tag 0. */
void tagmem_clear_range(uint64_t start, uint64_t end);
/* Bytes and tags, to a range that is mapped. */
int tagmem_copy_range(uint64_t from, uint64_t to, uint64_t length);
/* The end of the pages from `start` on, before `end`, that are mapped alike; in `bits` how (tagmem_page_of). */
uint64_t tagmem_run_of(uint64_t start, uint64_t end, unsigned *bits);
/* Whether all of it is mapped. */
bool tagmem_is_mapped(uint64_t start, uint64_t end);

/* MARK: Adopted.c */

/* Pages of shared memory are mapped (1) or are not any more (-1): they may be those of an adopted file. */
void tagmem_count_adopted(struct tagmem_backing backing, int sign);
/* Writes the contents of adopted files to them. */
void tagmem_write_adopted(void);
/* Whether there is memory of a file that is mapped. */
bool tagmem_is_adopted(const struct tagmem_object *object, uint64_t offset);

/* MARK: Foreign.c: shared files without tags that may get them. 0 or an errno */

/* Their memory becomes that of an object. */
int tagmem_adopt_foreign(uint64_t at);
/* Another mapping of what is mapped at `from`. */
int tagmem_move_foreign(uint64_t from, uint64_t to, uint64_t length, int protection);
void tagmem_forget_foreign(uint64_t start, uint64_t end);

/* MARK: Adopting.c */

/* In a child, that is alone: this is the main object now. 0 or an errno. */
int tagmem_adopt_object(struct tagmem_object *object);

/* MARK: Placing.c */

/* A range that is free, and whose blocks are for that kind of memory: for private memory that is used, at the lowest offset,
 * for address space that is only reserved (`is_huge`) behind what others get. */
struct tagmem_wish {
	uint64_t length, alignment;
	bool is_shared, is_huge;
};
bool tagmem_is_free(uint64_t start, uint64_t end, bool is_shared);
bool tagmem_place(const struct tagmem_wish *wish, uint64_t *start);

/* The offset of an address that the program gives for a range of the span; its tag is of no account. */
static inline bool tagmem_in_environment(const void *address, uint64_t *offset) {
	struct tagmem_pointer pointer = tagmem_pointer_of((uintptr_t)address);
	*offset = pointer.offset;
	return pointer.span != NULL && pointer.span == tagmem_environment;
}

static inline void *tagmem_address_at(uint64_t offset) { return (void *)(tagmem_environment->base + offset); }

/* The main thread begins as if it had called prctl: none, sync, async or asymm, and ,store-only behind it. An errno. */
int tagmem_begin_in_mode(const char *name);
/* PR_MTE_TCF_… of sync, async and asymm; 0 for any other name. */
unsigned long tagmem_mode_named(const char *name, size_t length);

#pragma GCC visibility pop

#endif
