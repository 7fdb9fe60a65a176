/* A child of fork has the attachments as they are, but for what its parent's other threads were about. */
#include "Closing.h"
#include "Fork.h"

#include <pthread.h>

static void be_child(void) {
	tagmem_lock_of_child();
	for (size_t index = 0; index < tagmem_span_count; index++) {
		if (tagmem_spans[index]) tagmem_open_all_pages(tagmem_spans[index]);
	}
	/* What the thread itself is about to access it may come back to, out of a handler that has forked. */
	for (int i = 0; i < tagmem_closed_max; i++) {
		if (tagmem_thread.closed[i].page) tagmem_close_page(tagmem_thread.closed[i].page);
	}
	/* Its random tags are its own. */
	tagmem_thread.random = 0;
	tagmem_drawn.count = 0;
}

/* With the first attachment: a constructor in a file that nothing else is taken from is not in a static program. */
void tagmem_watch_forks(void) {
	static bool is_watched;
	if (!__atomic_exchange_n(&is_watched, true, __ATOMIC_RELAXED)) pthread_atfork(NULL, NULL, be_child);
}
