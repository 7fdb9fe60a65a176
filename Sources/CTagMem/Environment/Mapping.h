/* What mmap and its kin share. */
#ifndef TAGMEM_MAPPING_H
#define TAGMEM_MAPPING_H

#include "Environment.h"

#pragma GCC visibility push(hidden)

/* MARK: Mmap.c: 0 or an errno, and where it is */

int tagmem_map_anonymous(const void *address, size_t length, int protection, int flags, uint64_t *start);

/* MARK: Files.c: files in the span */

int tagmem_map_file(const void *address, size_t length, int protection, int flags, int fd, off_t offset, uint64_t *start);
/* Whether mprotect may ask for tags later, so that it is to be in the span. */
bool tagmem_may_file_get_tags(int protection, int flags, int fd);
/* Whether the file is mapped with tags: all its mappings are in the span then. */
bool tagmem_is_file_adopted(int fd);

#pragma GCC visibility pop

#endif
