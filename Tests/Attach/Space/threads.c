/* Threads and processes at once: the two tags of a byte, attachments that come and go, pages that are closed and opened. */
#include "object.h"

#include <pthread.h>
#include <stdatomic.h>

enum { size = 1 << 20, page = 4096 };

static char *base;
static atomic_bool is_over;

/* Each has every second granule, and sees its own tags stay as it has set them. All at once, as soon as all are there. */
static atomic_int *missing;
static void *store_every_second(void *argument) {
	enum { granules = 16, rounds = 100000 };
	long mine = (long)argument, wrong = 0;
	for (--*missing; *missing > 0;) continue;
	for (int round = 0; round < rounds; round++) {
		unsigned tag = (unsigned)(round + mine * 5) & 0xf;
		for (long granule = mine; granule < granules; granule += 2) {
			char *pointer = tagmem_with_tag(base + granule * 16, tag);
			if (round % 4) {
				tagmem_set_tags(pointer, 16);
			} else {
				uint8_t byte = (uint8_t)tag;
				tagmem_store_tags(pointer, &byte, 1);
			}
		}
		for (long granule = mine; granule < granules; granule += 2) wrong += tagmem_get_tag(base + granule * 16) != (int)tag;
	}
	return (void *)wrong;
}

static void test_two_tags(void) {
	base = attach(object, 0);
	missing = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*missing = 2;
	pthread_t threads[2];
	for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, store_every_second, (void *)i);
	for (int i = 0; i < 2; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		expect_equal((long)wrong, 0);
	}
	/* A child of fork shares them. */
	*missing = 2;
	pid_t child = fork();
	if (child == 0) _exit(store_every_second((void *)1L) != NULL);
	expect_equal((long)store_every_second((void *)0L), 0);
	int status;
	waitpid(child, &status, 0);
	expect_equal(status, 0);
	expect_equal(tagmem_detach(base), 0);
}

static void *attach_and_detach(void *argument) {
	long wrong = 0;
	for (int round = 0; round < 50; round++) {
		char *mine = tagmem_attach(object, round & 7 ? 0 : TAGMEM_VIEWS);
		if (!mine) {
			wrong += errno != ENOMEM;
			continue;
		}
		char *pointer = mine + size / 2 + (long)argument * page;
		pointer = tagmem_with_tag(pointer, (unsigned)round & 0xf);
		wrong += tagmem_set_tags(pointer, page) != 0;
		*(volatile char *)pointer = (char)round;
		wrong += *(volatile char *)pointer != (char)round;
		wrong += tagmem_get_tag(pointer) != (round & 0xf);
		wrong += tagmem_size(pointer) != size;
		wrong += tagmem_detach(mine) != 0;
	}
	return (void *)wrong;
}

static void test_attach_and_detach(void) {
	pthread_t threads[8];
	for (long i = 0; i < 8; i++) pthread_create(&threads[i], NULL, attach_and_detach, (void *)i);
	for (int i = 0; i < 8; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		expect_equal((long)wrong, 0);
	}
}

/* Counts in memory whose page is closed and opened by two threads meanwhile: nothing is lost. */
static void *count_up(void *argument) {
	volatile long *counter = argument;
	while (!is_over) ++*counter;
	return NULL;
}

static void *close_and_open(void *argument) {
	for (int round = 0; round < 2000; round++) {
		tagmem_close_page((uintptr_t)argument);
		tagmem_close_page((uintptr_t)argument);
		tagmem_open_page((uintptr_t)argument);
		tagmem_open_page((uintptr_t)argument);
	}
	return NULL;
}

static void test_closing(unsigned flags) {
	base = attach(object, flags);
	char *pointer = tagmem_with_tag(base + 16 * page, 3);
	expect_equal(tagmem_set_tags(pointer, page), 0);
	volatile long *counters = (volatile long *)pointer;
	counters[0] = counters[8] = 0;
	is_over = false;
	pthread_t threads[4];
	pthread_create(&threads[0], NULL, count_up, pointer);
	pthread_create(&threads[1], NULL, count_up, pointer + 64);
	pthread_create(&threads[2], NULL, close_and_open, pointer + 8);
	pthread_create(&threads[3], NULL, close_and_open, pointer + 4000);
	pthread_join(threads[2], NULL);
	pthread_join(threads[3], NULL);
	long before = counters[0];
	is_over = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	expect(before > 0 && counters[0] >= before && counters[8] > 0);
	struct tagmem_span *span = span_of(base);
	expect_equal(span->closed_of_alias[3], 0);
	expect_equal(tagmem_detach(base), 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	set_size(object, size);
	test_two_tags();
	test_attach_and_detach();
	test_closing(0);
	test_closing(TAGMEM_VIEWS);
	return finish();
}
