// A heap whose blocks are tagged: malloc and kin for a program on a machine with Arm's Memory Tagging Extension.
#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>

void *heap_malloc(size_t size);
void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *block, size_t size);
void *heap_aligned_alloc(size_t alignment, size_t size);
void heap_free(void *block);
size_t heap_usable_size(void *block);

#endif
