#ifndef TAGMEM_FORK_H
#define TAGMEM_FORK_H

/* Has children of fork seen to, from now on. */
void tagmem_watch_forks(void);

/* The lock of a child, where nobody holds it. */
void tagmem_lock_of_child(void);

#endif
