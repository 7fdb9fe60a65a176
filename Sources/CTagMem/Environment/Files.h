/* Files in the span. */
#ifndef TAGMEM_FILES_H
#define TAGMEM_FILES_H

#include "Mapping.h"

#pragma GCC visibility push(hidden)

/* MARK: Adopted.c: the environment's lock is held. 0 or an errno */

bool tagmem_is_of_tmpfs(int fd);
/* Gives the blocks of a range the file's memory from `offset` on, which is in the same place of a block. */
int tagmem_adopt_file(int fd, uint64_t start, uint64_t end, uint64_t offset);
/* Copies bytes and tags of an adopted file to private memory. */
int tagmem_copy_adopted(int fd, uint64_t start, uint64_t end, uint64_t offset);

/* MARK: Foreign.c: the same */

/* Pages of the file, in all aliases. */
int tagmem_map_foreign(uint64_t start, uint64_t end, int protection, int fd, uint64_t offset, bool may_get_tags);


#pragma GCC visibility pop

#endif
