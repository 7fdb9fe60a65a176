/*
 * The page that a refused access closes: how long it is closed, what else runs into it, and what modes make of a mismatch.
 */
#include "fault.h"

#include <errno.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <tagmem/arm_acle.h>

#define NOINLINE __attribute__((noinline))

enum { bad = page + 64 };

static NOINLINE void load(char *from) { (void)*(volatile int *)from; }
static NOINLINE void store(char *to) { *(volatile int *)to = 0x11111111; }
static NOINLINE int loaded(char *from) { return *(volatile int *)from; }

static NOINLINE long fault_in(void (*run)(char *), char *at) { return FAULT_OF(run(at)); }

/* A handler that returns comes back to the access, without a callback. */
static volatile int left;

static void repeat(siginfo_t *info, void *context) {
	(void)info, (void)context;
	if (--left == 0) siglongjmp(before, 1);
}

static void repeat_after_use(siginfo_t *info, void *context) {
	/* Legal accesses of the handler to the page that is closed: done, and the page stays closed. */
	for (int i = 0; i < 64; i += 4) load(memory + page + i);
	EXPECT(memory[page + 1], pattern_at(page + 1));
	for (int i = 128; i < 1024; i += 4) store(memory + page + i);
	repeat(info, context);
}

static void repeat_after_another(siginfo_t *info, void *context) {
	/* A fault in the handler: SIGSEGV is blocked here, so it must not come. Another page is used. */
	for (int i = 0; i < 4096; i += 4) store(memory + 4 * page + i);
	repeat(info, context);
}

static void mend(siginfo_t *info, void *context) {
	(void)info, (void)context;
	set_tag(bad, tag);
}

static void use_page(void) {
	volatile char *open = memory + page;
	for (int i = 0; i < 4096; i += 16)
		if (i != bad - page) (void)open[i];
}

static void returning(void) {
	void (*const handlers[])(siginfo_t *, void *) = { repeat, repeat_after_use, repeat_after_another };
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
		for (int is_store = 0; is_store < 2; is_store++) {
			reset();
			set_tag(bad, other_tag);
			int old = loaded((char *)tagmem_with_tag(memory + bad, other_tag));
			on_each = handlers[i];
			faults = 0;
			left = 5;
			EXPECT(fault_in(is_store ? store : load, memory + bad + 4), bad + 4);
			EXPECT(faults, 5);
			EXPECT(loaded((char *)tagmem_with_tag(memory + bad + 4, other_tag)) == 0x11111111, 0);
			EXPECT(loaded((char *)tagmem_with_tag(memory + bad, other_tag)), old);
			on_each = NULL;
			use_page();
			EXPECT(is_open(memory + page), 1);
		}
	}
	/* What the handler has mended is done. */
	reset();
	set_tag(bad, other_tag);
	on_each = mend;
	faults = 0;
	EXPECT(FAULT_OF(store(memory + bad)), no_fault);
	EXPECT(faults, 1);
	EXPECT(loaded(memory + bad), 0x11111111);
	on_each = NULL;
	use_page();
	EXPECT(is_open(memory + page), 1);
}

/* Many faults, all left by siglongjmp: the thread goes on as if nothing had been. */
static void leaving(void) {
	reset();
	set_tag(bad, other_tag);
	for (int i = 0; i < 200; i++) EXPECT(fault_in(store, memory + bad + i % 4 * 4), bad + i % 4 * 4);
	for (int i = 0; i < pages; i++) {
		set_tag(i * page, other_tag);
		EXPECT(fault_in(store, memory + i * page), i * page);
	}
	/* Closed pages are few, wherever they are. */
	int closed = 0;
	for (int i = 0; i < pages; i++) closed += !is_open(memory + i * page);
	EXPECT(closed <= 4, 1);
	for (int i = 0; i < pages; i++) {
		set_tag(i * page, tag);
		for (int at = 512; at < 4096; at += 512) load(memory + i * page + at);
		EXPECT(is_open(memory + i * page), 1);
	}
	set_tag(bad, tag);
}

/* Other threads use the page meanwhile: legal accesses are done, those that must fault do. */
static volatile int stop;

static void *use_legally(void *argument) {
	long rounds = 0;
	char *mine = memory + page + 256 + (long)argument * 1024;
	while (!stop) {
		store(mine);
		if (loaded(mine) != 0x11111111) return (void *)-1l;
		*(volatile int *)mine = 0;
		__atomic_fetch_add((long *)(void *)(memory + page + 8), 1, __ATOMIC_SEQ_CST);
		rounds++;
	}
	return (void *)rounds;
}

static void threads(void) {
	reset();
	*(volatile long *)(memory + page + 8) = 0;
	set_tag(bad, other_tag);
	pthread_t thread[2];
	stop = 0;
	for (long i = 0; i < 2; i++) pthread_create(&thread[i], NULL, use_legally, (void *)i);
	for (int i = 0; i < 1000; i++) EXPECT(fault_in(i & 1 ? store : load, memory + bad), bad);
	stop = 1;
	long sum = 0;
	for (int i = 0; i < 2; i++) {
		void *rounds;
		pthread_join(thread[i], &rounds);
		EXPECT((long)rounds > 0, 1);
		sum += (long)rounds;
	}
	EXPECT(*(volatile long *)(memory + page + 8), sum);
	set_tag(bad, tag);
}

/* What a thread has closed opens when it ends. */
static void *fault_and_end(void *argument) {
	(void)argument;
	return (void *)fault_in(store, memory + bad);
}

static void ending(void) {
	reset();
	set_tag(bad, other_tag);
	use_page();
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		void *where;
		pthread_create(&thread, NULL, fault_and_end, NULL);
		pthread_join(thread, &where);
		EXPECT((long)where, bad);
		EXPECT(is_open(memory + page), 1);
	}
	set_tag(bad, tag);
}

/* The device's log has a line for each fault, and one only, whether the trap has found it or, where it is asynchronous, the
 * callback. `last` gets the last line. */
static int logged(const char *directory, char *last, size_t size) {
	char path[512];
	snprintf(path, sizeof path, "%s/../../faults", directory);
	FILE *file = fopen(path, "r");
	int lines = 0;
	if (!file) return -1;
	for (char line[512]; fgets(line, sizeof line, file); lines++) snprintf(last, size, "%s", line);
	fclose(file);
	return lines;
}

static void log_of(const char *directory) {
	char line[512];
	int before_all = logged(directory, line, sizeof line);
	reset();
	set_tag(bad, other_tag);
	EXPECT(fault_in(store, memory + bad + 4), bad + 4);
	EXPECT(logged(directory, line, sizeof line), before_all + 1);
	EXPECT(strstr(line, "mode=sync access=store") != NULL, 1);
	EXPECT(strstr(line, " size=4 address_tag=5 allocation_tag=9 ") != NULL, 1);
	EXPECT(fault_in(load, memory + bad + 8), bad + 8);
	EXPECT(logged(directory, line, sizeof line), before_all + 2);
	EXPECT(strstr(line, "mode=sync access=load") != NULL, 1);
	unsigned long enable = PR_TAGGED_ADDR_ENABLE;
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_ASYNC, 0, 0, 0), 0);
	EXPECT(FAULT_OF(*(volatile int *)(memory + bad) = 1; usleep(100000)), another_fault);
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_SYNC, 0, 0, 0), 0);
	EXPECT(logged(directory, line, sizeof line), before_all + 3);
	EXPECT(strstr(line, "mode=async access=store") != NULL, 1);
	set_tag(bad, tag);
}

static void modes(void) {
	reset();
	set_tag(bad, other_tag);
	unsigned long enable = PR_TAGGED_ADDR_ENABLE;
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_NONE, 0, 0, 0), 0);
	EXPECT(FAULT_OF(store(memory + bad)), no_fault);
	EXPECT(loaded(memory + bad), 0x11111111);
	EXPECT(is_open(memory + bad), 1);
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_SYNC, 0, 0, 0), 0);
	EXPECT(FAULT_OF(store(memory + bad)), bad);
	EXPECT(FAULT_OF(load(memory + bad)), bad);
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_ASYNC, 0, 0, 0), 0);
	faults = 0;
	fault_address = memory;
	EXPECT(FAULT_OF(*(volatile int *)(memory + bad + 8) = 0x22222222; load(memory + bad); usleep(100000)), another_fault);
	EXPECT(fault_code, SEGV_MTEAERR);
	EXPECT(fault_address == NULL, 1);
	EXPECT(faults, 1);
	EXPECT(is_open(memory + bad), 1);
#ifdef PR_MTE_STORE_ONLY
	if (prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_SYNC | PR_MTE_STORE_ONLY, 0, 0, 0) == 0) {
#else
	if (prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_SYNC | 1ul << 19, 0, 0, 0) == 0) {
#endif
		EXPECT(FAULT_OF(load(memory + bad)), no_fault);
		EXPECT(FAULT_OF(store(memory + bad)), bad);
	} else {
		EXPECT(errno, 0);
	}
	EXPECT(prctl(PR_SET_TAGGED_ADDR_CTRL, enable | PR_MTE_TCF_SYNC, 0, 0, 0), 0);
	set_tag(bad, tag);
}

/* Pointers with the tag in bits 59:56, as on Arm. */
static void arm_pointers(void) {
	reset();
	set_tag(bad, other_tag);
	char *arm = base + ((uintptr_t)tag << 56);
	EXPECT(loaded(arm + page), loaded(memory + page));
	store(arm + page + 20);
	EXPECT(loaded(memory + page + 20), 0x11111111);
	EXPECT(FAULT_OF(store(arm + bad)), arm + bad - memory);
	EXPECT(loaded(base + bad + ((uintptr_t)other_tag << 56)) == 0x11111111, 0);
	set_tag(bad, tag);
}

/* A tag that is stored between two accesses to the same bytes: both are checked. */
static NOINLINE void store_around_a_tag(char *to) {
	*(int *)(void *)to = 1;
	__arm_mte_set_tag((char *)tagmem_with_tag(to, other_tag));
	*(int *)(void *)to = 2;
}

static void between(void) {
	reset();
	EXPECT(fault_in(store_around_a_tag, memory + bad), bad);
	set_tag(bad, tag);
	EXPECT(loaded(memory + bad), 1);
}

/* Behind the object's end there are no tags either: the access finds out, where it is. */
static void behind_the_end(void) {
	static const long distances[] = { pages * page, pages * page + 4096 + 12, 1 << 20, 1l << 39 };
	for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
		for (int is_tagged = 0; is_tagged < 2; is_tagged++) {
			char *at = (is_tagged ? memory : base) + distances[i];
			fault_code = 0;
			EXPECT(fault_in(store, at), another_fault);
			EXPECT(fault_code, BUS_ADRERR);
			EXPECT(fault_address, (long)at);
		}
	}
}

int main(int count, char **arguments) {
	attach(count, arguments);
	catch_faults();
	returning();
	leaving();
	threads();
	ending();
	log_of(arguments[1]);
	modes();
	arm_pointers();
	between();
	behind_the_end();
	EXPECT(tagmem_detach(base), 0);
	return failures != 0;
}
