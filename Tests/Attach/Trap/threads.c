/* Four threads trap at once on the same memory: atomic instructions are atomic, whoever does them. */
#include "alias.h"

#include <pthread.h>
#include <sys/mman.h>

enum { threads = 4, count = 8000 };

struct counters {
	long added, exchanged, compared;
	int locked, unlocked_bits;
	__int128 pair;
	uint32_t bits[32];
	char text[256];
};

/* The threads have an open alias of the same memory as well: half of them are not trapped. */
static struct counters *of(int thread) { return (struct counters *)(thread % 4 == 3 ? plain : alias); }

static void *work(void *argument) {
	int thread = (int)(intptr_t)argument;
	struct counters *counters = of(thread);
	alias_signal_stack();
	for (int i = 0; i < count; i++) {
		__atomic_fetch_add(&counters->added, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&counters->locked, 1, __ATOMIC_SEQ_CST);
		long old = counters->compared;
		while (!__atomic_compare_exchange_n(&counters->compared, &old, old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
		}
		uint64_t low = 0, high = 0;
		bool is_done = false;
		while (!is_done) { /* the halves count alike */
			__asm__ volatile("lock cmpxchg16b %1"
			                 : "=@ccz"(is_done), "+m"(counters->pair), "+a"(low), "+d"(high)
			                 : "b"(low + 1), "c"(high + 2));
		}
		uint64_t bit = (uint64_t)(thread * 256) + (uint64_t)(i % 256);
		__asm__ volatile("lock btcq %1, %0" : "+m"(counters->bits) : "r"(bit) : "cc", "memory");
		__asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(counters->exchanged));
	}
	return NULL;
}

int main(void) {
	pthread_t ids[threads];
	alias_map();
	alias_handle_signals();
	for (int round = 0; round < 2; round++) {
		struct counters *counters = (struct counters *)plain;
		long all = (long)threads * count;
		tagmem_goes_ahead = round == 1;
		memset(plain, 0, sizeof *counters);
		alias_protect(PROT_NONE);
		for (int i = 0; i < threads; i++) {
			pthread_create(&ids[i], NULL, work, (void *)(intptr_t)i);
		}
		for (int i = 0; i < threads; i++) {
			pthread_join(ids[i], NULL);
		}
		CHECK(counters->added == all, "%ld of %ld", counters->added, all);
		CHECK(counters->locked == all, "%d of %ld", counters->locked, all);
		CHECK(counters->compared == all, "%ld of %ld", counters->compared, all);
		CHECK((long)counters->pair == all && (long)(counters->pair >> 64) == 2 * all, "%ld and %ld", (long)counters->pair,
		    (long)(counters->pair >> 64));
		for (int thread = 0; thread < threads; thread++) {
			for (int bit = 0; bit < 256; bit++) {
				int at = thread * 256 + bit, times = count / 256 + (bit < count % 256);
				CHECK((counters->bits[at / 32] >> at % 32 & 1) == (unsigned)times % 2, "bit %d", at);
			}
		}
	}
	return finish();
}
