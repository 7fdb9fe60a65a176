/* Traps, mappings, signals and forks in several threads at once: nothing hangs, and no byte or tag is another's. */
#include "environment.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* Of the library, hidden. */
extern void tagmem_close_page(uintptr_t address);
extern void tagmem_open_page(uintptr_t address);

enum { thread_count = 2, seconds = 4 };

static atomic_bool stopped;
static atomic_ulong traps, mappings, signals, forks;
static char *counters; /* a page that is closed all the time, a counter for each thread on it */
static pthread_t threads[2 * thread_count + 1];

static void *trap(void *argument) {
	size_t index = (size_t)(intptr_t)argument;
	volatile uint64_t *counter = (volatile uint64_t *)(counters + 64 * index);
	while (!stopped) {
		uint64_t before = *counter;
		__atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
		if (*counter != before + 1)
			expect_equal(*counter, before + 1);
		traps++;
	}
	return NULL;
}

static void *map_and_unmap(void *argument) {
	unsigned tag = (unsigned)(intptr_t)argument + 1;
	while (!stopped) {
		char *memory = mmap(NULL, 3 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			continue;
		for (int i = 0; i < 3; i++) {
			if (memory[i * page] != 0 || tagmem_get_tag(memory + i * page) != 0) {
				expect_equal(memory[i * page], 0);
				expect_equal(tagmem_get_tag(memory + i * page), 0);
			}
			memset(memory + i * page, (int)tag, page);
			tagmem_set_tags(tagmem_with_tag(memory + i * page, tag), page);
		}
		char *moved = mremap(memory, 3 * page, 4 * page, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED) {
			munmap(memory, 3 * page);
			continue;
		}
		if (moved[2 * page + 5] != (char)tag || tagmem_get_tag(moved + 2 * page) != (int)tag ||
		    tagmem_get_tag(moved + 3 * page) != 0) {
			expect_equal(moved[2 * page + 5], tag);
			expect_equal(tagmem_get_tag(moved + 2 * page), tag);
			expect_equal(tagmem_get_tag(moved + 3 * page), 0);
		}
		munmap(moved, 4 * page);
		mappings++;
	}
	return NULL;
}

/* It touches the closed page, and maps. */
static void handle(int number) {
	(void)number;
	int error = errno;
	__atomic_fetch_add((uint64_t *)(counters + 1024), 1, __ATOMIC_SEQ_CST);
	char *memory = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory != MAP_FAILED) {
		memory[0] = 1;
		munmap(memory, page);
	}
	signals++;
	errno = error;
}

static void *send_signals(void *unused) {
	(void)unused;
	struct timespec pause = {0, 2000000};
	for (unsigned i = 0; !stopped; i++) {
		pthread_kill(threads[i % (2 * thread_count)], SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void in_child(void) {
	uint64_t own = *(uint64_t *)(counters + 64);
	tagmem_close_page((uintptr_t)counters);
	for (int i = 0; i < 50; i++) {
		expect_equal(*(volatile uint64_t *)(counters + 64), own);
		expect_equal(tagmem_get_tag(counters), 5);
	}
}

int main(int count, char **arguments) {
	begin(count, arguments);
	counters = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	counters = tagmem_with_tag(counters, 5);
	tagmem_set_tags(counters, page);
	tagmem_close_page((uintptr_t)counters);
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &action, NULL);
	for (intptr_t i = 0; i < thread_count; i++) {
		expect_equal(pthread_create(&threads[2 * i], NULL, trap, (void *)i), 0);
		expect_equal(pthread_create(&threads[2 * i + 1], NULL, map_and_unmap, (void *)i), 0);
	}
	expect_equal(pthread_create(&threads[2 * thread_count], NULL, send_signals, NULL), 0);
	time_t end = time(NULL) + seconds;
	while (time(NULL) < end) {
		expect_equal(status_of(in_child), 0);
		forks++;
	}
	stopped = true;
	for (int i = 0; i < 2 * thread_count + 1; i++)
		pthread_join(threads[i], NULL);
	tagmem_open_page((uintptr_t)counters);
	expect_equal(*(uint64_t *)counters + *(uint64_t *)(counters + 64), traps);
	expect_equal(*(uint64_t *)(counters + 1024), signals);
	expect(traps > 100 && mappings > 10 && signals > 10 && forks > 2);
	if (getenv("VERBOSE") != NULL)
		printf("%lu traps, %lu mappings, %lu signals, %lu forks\n", traps, mappings, signals, forks);
	return finish();
}
