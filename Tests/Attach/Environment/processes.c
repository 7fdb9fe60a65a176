/* fork, threads and exec: what of the memory, the tags and the modes is whose. */
#include "environment.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <spawn.h>

enum { pages = 3, size = pages * page };

extern char **environ;

static char *private_memory, *shared_memory, *wiped, *not_forked;

static char *map(int flags) {
	char *memory = mmap(NULL, size, read_write | PROT_MTE, flags | MAP_ANONYMOUS, -1, 0);
	expect(memory != MAP_FAILED);
	for (unsigned i = 0; i < pages; i++) {
		memset(memory + i * page, (int)i + 1, page);
		expect_equal(tagmem_set_tags(tagmem_with_tag(memory + i * page, i + 1), page), 0);
	}
	return memory;
}

static void expect_pages(const char *memory, int first) {
	for (int i = 0; i < pages; i++) {
		expect_equal(tagmem_get_tag(memory + i * page), first + i);
		expect_equal(tagmem_get_tag(memory + (i + 1) * page - 1), first + i);
		expect_equal(memory[i * page + 100], first + i);
	}
}

static void change(char *memory, int first) {
	for (int i = 0; i < pages; i++) {
		memset(memory + i * page, first + i, page);
		tagmem_set_tags(tagmem_with_tag(memory + i * page, (unsigned)(first + i)), page);
	}
}

static void grandchild(void) {
	expect_pages(private_memory, 4);
	change(private_memory, 7);
	expect_pages(private_memory, 7);
}

static void child(void) {
	expect_pages(private_memory, 1);
	change(private_memory, 4);
	expect_pages(private_memory, 4);
	expect_pages(shared_memory, 1);
	change(shared_memory, 4);
	for (int i = 0; i < size; i++) {
		if (wiped[i] != 0) {
			expect_equal(wiped[i], 0);
			break;
		}
	}
	expect_equal(tagmem_get_tag(wiped), 0);
	wiped[0] = 1;
	expect_equal(load_fault(not_forked), SEGV_MAPERR);
	/* It maps memory of its own, also such that it shares. */
	char *own = map(MAP_PRIVATE), *own_shared = map(MAP_SHARED);
	expect_pages(own, 1);
	expect_pages(own_shared, 1);
	expect_equal(status_of(grandchild), 0);
	expect_pages(private_memory, 4);
	expect_pages(own, 1);
	/* Children are removed with their objects. */
	fflush(stdout);
	exit(check_failures != 0);
}

static void forking(void) {
	private_memory = map(MAP_PRIVATE);
	shared_memory = map(MAP_SHARED);
	wiped = map(MAP_PRIVATE);
	not_forked = map(MAP_PRIVATE);
	expect_equal(madvise(wiped, size, MADV_WIPEONFORK), 0);
	expect_equal(madvise(not_forked, size, MADV_DONTFORK), 0);
	expect_equal(status_of(child), 0);
	expect_pages(private_memory, 1);
	expect_pages(shared_memory, 4);
	expect_pages(wiped, 1);
	expect_pages(not_forked, 1);
	/* What the parent stores after fork is not the child's. */
	int ends[2];
	expect_equal(pipe(ends), 0);
	pid_t process = fork();
	if (process == 0) {
		char byte;
		check_failures = 0;
		expect_equal(read(ends[0], &byte, 1), 1);
		expect_pages(private_memory, 1);
		expect_pages(shared_memory, 9);
		fflush(stdout);
		_exit(check_failures);
	}
	change(private_memory, 9);
	change(shared_memory, 9);
	expect_equal(write(ends[1], "x", 1), 1);
	int status;
	expect_equal(waitpid(process, &status, 0), process);
	expect_equal(status, 0);
}

static volatile int in_handler;

static void fork_in_handler(int number) {
	(void)number;
	in_handler = status_of(grandchild);
}

static volatile bool stop;

static void *keep_mapping(void *unused) {
	(void)unused;
	while (!stop) {
		char *memory = mmap(NULL, 2 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			continue;
		memory[0] = 'x';
		munmap(memory, 2 * page);
	}
	return NULL;
}

static void with_threads(void) {
	change(private_memory, 4);
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		expect_equal(pthread_create(&threads[i], NULL, keep_mapping, NULL), 0);
	for (int i = 0; i < 10; i++)
		expect_equal(status_of(grandchild), 0);
	stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	signal(SIGUSR1, fork_in_handler);
	raise(SIGUSR1);
	expect_equal(in_handler, 0);
	expect_pages(private_memory, 4);
}

/* MARK: Modes */

static long control(void) { return prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0); }

static void *in_thread(void *unused) {
	(void)unused;
	expect_equal(control(), 0x7fff3);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), 0);
	expect_equal(control(), 1);
	return NULL;
}

static void in_child(void) { expect_equal(control(), 0x7fff3); }

static void modes(char *program) {
	expect_equal(control(), 0);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 3 | 0xfffe << 3, 0, 0, 0), 0);
	expect_equal(control(), 0x7fff3);
	pthread_t thread;
	expect_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
	pthread_join(thread, NULL);
	expect_equal(control(), 0x7fff3);
	expect_equal(status_of(in_child), 0);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, 1ul << 40, 0, 0, 0), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, 1ul << 20, 0, 0, 0), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, 1, 1, 0, 0), EINVAL);
	expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, 1, 0, 0, 1), EINVAL);
	expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), EINVAL);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 1 | 2 | 4 | 1ul << 19, 0, 0, 0), 0);
	expect_equal(control(), 1 | 2 | 4 | 1ul << 19);
	expect_equal(prctl(PR_SET_NAME, "renamed", 0, 0, 0), 0);
	char name[16];
	expect_equal(prctl(PR_GET_NAME, name, 0, 0, 0), 0);
	expect_equal(strcmp(name, "renamed"), 0);
	/* A program that is executed begins anew, by way of each call. */
	char *const arguments[] = {program, "--fresh", NULL};
	int status;
	pid_t process;
	expect_equal(posix_spawn(&process, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
	expect_equal(waitpid(process, &status, 0), process);
	expect_equal(status, 0);
	process = vfork();
	if (process == 0) {
		execv("/proc/self/exe", arguments);
		_exit(3);
	}
	expect_equal(waitpid(process, &status, 0), process);
	expect_equal(status, 0);
	process = fork();
	if (process == 0) {
		execv("/proc/self/exe", arguments);
		_exit(3);
	}
	expect_equal(waitpid(process, &status, 0), process);
	expect_equal(status, 0);
	expect_equal(system("exit 5"), 5 << 8);
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 0, 0, 0, 0), 0);
}

static int fresh(void) {
	expect_equal(control(), 0);
	char *memory = map(MAP_PRIVATE);
	expect_pages(memory, 1);
	return finish();
}

/* A fork for which the device has no room fails, and all is as it was. */
static void without_room(void) {
	enum { piece = 1 << 20, most = 1024 };
	static char *taken[most];
	int count = 0;
	for (; count < most; count++) {
		taken[count] = mmap(NULL, piece, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (taken[count] == MAP_FAILED)
			break;
	}
	errno = 0;
	pid_t process = fork();
	if (process == 0)
		_exit(0);
	expect_equal(process, -1);
	expect_equal(errno, ENOMEM);
	expect_pages(private_memory, 4);
	for (int i = 0; i < count; i++)
		munmap(taken[i], piece);
	expect_equal(status_of(grandchild), 0);
}

int main(int count, char **arguments) {
	if (count == 2 && strcmp(arguments[1], "--fresh") == 0)
		return fresh();
	begin(count, arguments);
	forking();
	with_threads();
	modes(arguments[0]);
	without_room();
	return finish();
}
