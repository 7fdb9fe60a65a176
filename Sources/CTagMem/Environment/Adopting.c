/* In a child of fork: the main object is another one, which has the parent's private memory. */
#include "Environment.h"

/* Maps what of a range the main object has; pages of other files stay. */
static int remap(uint64_t start, uint64_t end, bool has_foreign) {
	int error = 0;
	while (start < end && !error) {
		uint64_t next = has_foreign ? tagmem_end_of_notes(start, end) : end;
		if (!has_foreign || !(tagmem_notes_of(start) & tagmem_foreign))
			error = tagmem_restore_pages(start, next);
		start = next;
	}
	return error;
}

static int remap_all(uint64_t end) {
	bool has_foreign = tagmem_has_foreign();
	int error = 0;
	for (uint64_t at = 0; at < end && !error;) {
		struct tagmem_backing backing = tagmem_backing_of(at, end);
		if (backing.object == &tagmem_objects[0]) {
			error = remap(at, at + backing.length, has_foreign);
			/* Tags are mapped by blocks. */
			uint64_t first = at / tagmem_block * tagmem_block;
			if (!error)
				error = tagmem_restore_tags(first, tagmem_round_up(at + backing.length, tagmem_block));
		}
		at += backing.length;
	}
	return error;
}

/* The aliases are closed now where they were mapped anew. */
static int protect_all(uint64_t end) {
	int error = 0;
	for (uint64_t at = 0, next; at < end && !error; at = next) {
		unsigned bits;
		next = tagmem_run_of(at, end, &bits);
		if (bits == 0)
			continue;
		next = tagmem_end_of_notes(at, next);
		struct tagmem_region region = {at, next, (int)(bits & (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_MTE)),
					       (bits & tagmem_mapped_shared) != 0};
		/* Nobody else is there yet: the lock, which another thread of the parent may have had, is not needed. */
		error = tagmem_notes_of(at) & tagmem_not_forked ? tagmem_remove_region(tagmem_environment, at, next)
								 : tagmem_set_region(tagmem_environment, &region);
	}
	return error;
}

int tagmem_adopt_object(struct tagmem_object *object) {
	struct tagmem_span *span = tagmem_environment;
	struct tagmem_object old = tagmem_objects[0];
	int files[] = {span->directory, span->mem, span->tags_file};
	int old_files[] = {old.directory, old.mem, old.tags};
	tagmem_objects[0] = *object;
	tagmem_objects[0].process = (int)tagmem_call(SYS_getpid);
	span->directory = object->directory;
	span->mem = object->mem;
	span->tags_file = object->tags;
	uint64_t end = span->mapped_pages << tagmem_page_shift;
	end = tagmem_round_up(end, tagmem_block);
	int error = remap_all(end);
	if (!error && end < TAGMEM_OBJECT_MAX)
		error = tagmem_restore_pages(end, TAGMEM_OBJECT_MAX);
	if (!error && end < TAGMEM_OBJECT_MAX)
		error = tagmem_restore_tags(end, TAGMEM_OBJECT_MAX);
	if (!error)
		error = protect_all(end);
	/* The parent's are its own again; its lock ends with its own descriptor. */
	tagmem_close_object(&old);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (files[i] != old_files[i])
			tagmem_call(SYS_close, files[i]);
	}
	return error;
}
