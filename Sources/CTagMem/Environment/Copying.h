/* A copy of the private memory, for a child. The environment's lock is held; all return 0 or an errno. */
#ifndef TAGMEM_COPYING_H
#define TAGMEM_COPYING_H

#include "Environment.h"

#pragma GCC visibility push(hidden)

/* Makes an object with room for it; sizes one anew, when other memory is mapped. */
int tagmem_make_room(struct tagmem_object *object);
int tagmem_size_copy(struct tagmem_object *object);
int tagmem_copy_private(struct tagmem_object *object);

#pragma GCC visibility pop

#endif
