#ifndef TAGMEM_FORK_H
#define TAGMEM_FORK_H

/* The lock of a child, where nobody holds it. */
void tagmem_lock_of_child(void);

#endif
