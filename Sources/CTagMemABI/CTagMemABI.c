#include "CTagMemABI.h"

// What programs were compiled with stays: sizes are part of the ioctls' numbers, and there is no padding, on any machine.
_Static_assert(sizeof(struct tagmem_tags) == 16 + TAGMEM_TAGS_MAX, "");
_Static_assert(sizeof(struct tagmem_fill) == 24, "");
_Static_assert(sizeof(struct tagmem_instruction) == 32, "");
_Static_assert(sizeof(struct tagmem_fault) == 16, "");
_Static_assert(sizeof(struct tagmem_access) == 96, "");
_Static_assert(sizeof(struct tagmem_processor) == 16, "");
_Static_assert(sizeof(struct tagmem_report) == 16, "");
