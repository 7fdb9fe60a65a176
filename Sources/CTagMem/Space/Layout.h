/*
 * How an attachment lies in the address space. The span itself: 16 TiB, in which each alias is 1 TiB. And outside of it, in
 * one piece, what the library needs: the plain alias has bits 43:40 of its own.
 */
#ifndef TAGMEM_LAYOUT_H
#define TAGMEM_LAYOUT_H

#include "internal.h"

#define alias_size TAGMEM_OBJECT_MAX
#define span_size (alias_size * 16)

#define closed_size (span_size / tagmem_page * sizeof(uint16_t))
#define pages_size TAGMEM_PAGES
#define tags_size (alias_size / 32)

#define closed_at 0
#define pages_at (closed_at + closed_size)
#define tags_at (pages_at + pages_size)
#define plain_at (tags_at + tags_size)
#define outside_size (plain_at + alias_size)

#endif
