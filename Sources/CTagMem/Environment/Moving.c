/* mremap: bytes and tags move, what is new is zero with tag 0. */
#include "Mapping.h"

#include <stdarg.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct move {
	uint64_t from, old_length, to, new_length;
	int flags;
	unsigned bits, notes; /* how the old range is mapped */
};

/* All of the old range must be mapped alike: EFAULT. */
static int look(struct move *move) {
	uint64_t end = move->from + move->old_length;
	if (end > TAGMEM_OBJECT_MAX || tagmem_run_of(move->from, end, &move->bits) != end || move->bits == 0)
		return EFAULT;
	if (tagmem_end_of_notes(move->from, end) != end)
		return EFAULT;
	move->notes = tagmem_notes_of(move->from);
	return 0;
}

static int protection_of(const struct move *move) {
	return (int)(move->bits & (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE));
}

static bool is_shared(const struct move *move) { return (move->bits & tagmem_mapped_shared) != 0; }

/* Behind the old range, if there is room. Shared memory ends where its file does. */
static int grow(const struct move *move) {
	uint64_t end = move->from + move->old_length, new_end = move->from + move->new_length;
	if (is_shared(move) || move->notes & tagmem_foreign || !tagmem_is_free(end, new_end, false))
		return ENOMEM;
	int error = tagmem_map_range(end, new_end, protection_of(move), false, true);
	if (!error)
		tagmem_note(end, new_end, move->notes, 0);
	return error;
}

static int copy(const struct move *move, uint64_t length) {
	unsigned accessible = PROT_READ | PROT_WRITE | PROT_EXEC;
	/* What could never be touched may have no memory: the new range needs none then. */
	bool has_memory = (move->bits & accessible) != 0;
	for (uint64_t at = 0; !has_memory && at < length; at += tagmem_block) {
		struct tagmem_backing place = tagmem_backing_of(move->from + at, move->from + length);
		has_memory = place.object != NULL && place.offset < place.object->size;
	}
	if (!has_memory)
		return 0;
	int error = tagmem_back_private(move->to, move->to + length);
	return error ? error : tagmem_copy_range(move->from, move->to, length);
}

static int move_private(const struct move *move) {
	uint64_t common = move->old_length < move->new_length ? move->old_length : move->new_length;
	int error = tagmem_map_range(move->to, move->to + move->new_length, protection_of(move), false, true);
	if (error)
		return error;
	error = copy(move, common);
	if (error) {
		tagmem_unmap_range(move->to, move->to + move->new_length);
		return error;
	}
	tagmem_note(move->to, move->to + move->new_length, move->notes, 0);
	if (move->flags & MREMAP_DONTUNMAP)
		tagmem_clear_range(move->from, move->from + move->old_length);
	else
		tagmem_unmap_range(move->from, move->from + move->old_length);
	return 0;
}

/* Other mappings of the same blocks, the old ones go. */
static int move_shared(const struct move *move) {
	if (move->new_length > move->old_length || move->from % tagmem_block != move->to % tagmem_block)
		return ENOMEM;
	int error = tagmem_map_shared_again(move->from, move->to, move->new_length, protection_of(move));
	if (!error && !(move->flags & MREMAP_DONTUNMAP) && move->old_length != 0)
		tagmem_unmap_range(move->from, move->from + move->old_length);
	return error;
}

static int move_foreign(const struct move *move) {
	int error = tagmem_move_foreign(move->from, move->to, move->new_length, protection_of(move));
	if (!error && !(move->flags & MREMAP_DONTUNMAP))
		tagmem_unmap_range(move->from, move->from + move->old_length);
	return error;
}

static int find_target(struct move *move) {
	uint64_t within = is_shared(move) ? move->from % tagmem_block : 0;
	unsigned alignment = move->notes & tagmem_of_huge_pages ? tagmem_huge_page : tagmem_page;
	struct tagmem_wish wish = {move->new_length + within, alignment, is_shared(move), false};
	if (!tagmem_place(&wish, &move->to))
		return ENOMEM;
	move->to += within;
	return 0;
}

static int move_to(struct move *move) {
	if (move->flags & MREMAP_FIXED) {
		if (move->to + move->new_length > TAGMEM_OBJECT_MAX)
			return EINVAL;
		int error = tagmem_unmap_range(move->to, move->to + move->new_length);
		if (error)
			return error;
		if (tagmem_conflict(move->to, move->to + move->new_length, is_shared(move)) != 0)
			return ENOMEM;
	} else {
		int error = find_target(move);
		if (error)
			return error;
	}
	if (move->notes & tagmem_foreign)
		return move_foreign(move);
	return is_shared(move) ? move_shared(move) : move_private(move);
}

static int remap(struct move *move) {
	int error = look(move);
	if (error)
		return error;
	bool stays = !(move->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP));
	if (stays && move->new_length <= move->old_length) {
		move->to = move->from;
		return tagmem_unmap_range(move->from + move->new_length, move->from + move->old_length);
	}
	if (stays && grow(move) == 0) {
		move->to = move->from;
		return 0;
	}
	return move->flags & MREMAP_MAYMOVE ? move_to(move) : ENOMEM;
}

/* The errno for arguments that are wrong, or 0. */
static int check(const struct move *move, const void *new_address) {
	int flags = move->flags;
	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) || move->from % tagmem_page != 0)
		return EINVAL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
		return EINVAL;
	if (flags & MREMAP_DONTUNMAP && move->old_length != move->new_length)
		return EINVAL;
	/* A second mapping of private memory cannot be. */
	if (move->new_length == 0 || move->old_length == 0)
		return EINVAL;
	if (move->new_length > TAGMEM_OBJECT_MAX || move->old_length > TAGMEM_OBJECT_MAX)
		return move->old_length > TAGMEM_OBJECT_MAX ? EFAULT : ENOMEM;
	if (!(flags & MREMAP_FIXED))
		return 0;
	if (move->to % tagmem_page != 0 || new_address != tagmem_address_at(move->to))
		return EINVAL;
	bool overlaps = move->to < move->from + move->old_length && move->from < move->to + move->new_length;
	return overlaps ? EINVAL : 0;
}

TAGMEM_EXPORT void *mremap(void *old_address, size_t old_length, size_t new_length, int flags, ...) {
	va_list list;
	va_start(list, flags);
	void *new_address = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? va_arg(list, void *) : NULL;
	va_end(list);
	tagmem_deliver_deferred();
	uint64_t from = 0, to = 0;
	bool is_ours = tagmem_environment != NULL && tagmem_in_environment(old_address, &from);
	bool is_to_ours = tagmem_environment != NULL && flags & MREMAP_FIXED && tagmem_in_environment(new_address, &to);
	if (!is_ours && !is_to_ours)
		return (void *)tagmem_result(
		    tagmem_call(SYS_mremap, old_address, old_length, new_length, flags, new_address));
	if (!is_ours || (flags & MREMAP_FIXED && !is_to_ours))
		return (void *)tagmem_result(-EINVAL);
	uint64_t unit = tagmem_notes_of(from) & tagmem_of_huge_pages ? tagmem_huge_page : tagmem_page;
	struct move move = {.from = from,
			    .old_length = tagmem_round_up(old_length, unit),
			    .to = to,
			    .new_length = tagmem_round_up(new_length, unit),
			    .flags = flags};
	if (old_length > SIZE_MAX - unit || new_length > SIZE_MAX - unit || from % unit != 0)
		return (void *)tagmem_result(-EINVAL);
	int error = check(&move, new_address);
	if (!error) {
		tagmem_lock_environment();
		error = remap(&move);
		tagmem_unlock_environment();
	}
	return error ? (void *)tagmem_result(-error) : tagmem_address_at(move.to);
}
