/* How an environment begins: what the program is told, what is wrong, and what is left of programs that were killed. */
#include "environment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { mte = 1 << 18, mte3 = 1 << 22, far = 1, store_only = 2, at_hwcap3 = 29 };

static void expect_environment(bool is_there) {
	expect_equal(getauxval(AT_HWCAP2) & (mte | mte3), is_there ? mte | mte3 : 0);
	errno = 0;
	expect_equal(getauxval(at_hwcap3), is_there ? far | store_only : 0);
	expect_equal(errno, is_there ? 0 : ENOENT);
	expect_equal(getauxval(AT_PAGESZ), page);
	expect(getauxval(AT_PHDR) != 0);
	expect_errno(getauxval(123456) == 0 ? -1 : 0, ENOENT);
	char *memory = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(memory != MAP_FAILED);
	memory[0] = 1;
	expect_equal(tagmem_get_tag(memory) >= 0, is_there);
	expect_equal(munmap(memory, page), 0);
	if (is_there) {
		expect_equal(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0), 0);
		expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), 0);
	} else {
		expect_errno(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0), EINVAL);
		expect_errno(prctl(PR_SET_TAGGED_ADDR_CTRL, 1, 0, 0, 0), EINVAL);
	}
}

/* The exit status of this program with that environment; what it says on stderr. */
static int status_with(const char *object, const char *way, const char *argument, char *text, size_t size) {
	int ends[2], status = -1;
	expect_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		unsetenv("TAGMEM_OBJECT");
		unsetenv("TAGMEM_ATTACH");
		if (object != NULL)
			setenv("TAGMEM_OBJECT", object, 1);
		if (way != NULL)
			setenv("TAGMEM_ATTACH", way, 1);
		execl("/proc/self/exe", "start", argument, NULL);
		_exit(99);
	}
	close(ends[1]);
	size_t length = 0;
	for (ssize_t count; (count = read(ends[0], text + length, size - 1 - length)) > 0;)
		length += (size_t)count;
	text[length] = 0;
	close(ends[0]);
	expect_equal(waitpid(child, &status, 0), child);
	return status;
}

static void expect_refused(const char *object, const char *way) {
	char text[1000];
	expect_equal(status_with(object, way, "--inside", text, sizeof text), 127 << 8);
	expect(strncmp(text, "libtagmem: ", 11) == 0);
	expect(strchr(text, '\n') == text + strlen(text) - 1);
}

static int count_objects(const char *object) {
	char parent[500];
	snprintf(parent, sizeof parent, "%s/..", object);
	const char *name = strrchr(object, '/') + 1;
	DIR *directory = opendir(parent);
	int count = 0;
	expect(directory != NULL);
	for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
		count += strncmp(entry->d_name, name, strlen(name)) == 0;
	closedir(directory);
	return count;
}

/* Two at once have an object each; one of a program that was killed is taken away by the next. */
static void leftovers(const char *object) {
	int ends[2];
	expect_equal(pipe(ends), 0);
	pid_t first = fork();
	if (first == 0) {
		signal(SIGUSR2, SIG_DFL);
		char *memory = mmap(NULL, page, read_write | PROT_MTE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		memory[0] = 1;
		if (fork() == 0)
			pause();
		if (write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char byte;
	expect_equal(read(ends[0], &byte, 1), 1);
	/* This one's, the child's, its shared one, the grandchild's. */
	expect(count_objects(object) >= 4);
	signal(SIGUSR2, SIG_IGN);
	kill(-getpgrp(), SIGUSR2);
	int status;
	while (waitpid(-1, &status, 0) > 0)
		;
	char text[1000];
	usleep(100000);
	expect_equal(status_with(object, NULL, "--inside", text, sizeof text), 0);
	expect_equal(strcmp(text, ""), 0);
	expect_equal(count_objects(object), 1);
}

int main(int count, char **arguments) {
	if (count == 2 && strcmp(arguments[1], "--inside") == 0) {
		expect_environment(true);
		return finish();
	}
	if (count == 2 && strcmp(arguments[1], "--outside") == 0) {
		expect_environment(false);
		return finish();
	}
	begin(count, arguments);
	setpgid(0, 0);
	char text[1000];
	expect_environment(true);
	expect_equal(status_with(NULL, NULL, "--outside", text, sizeof text), 0);
	expect_equal(status_with("", NULL, "--outside", text, sizeof text), 0);
	expect_refused("/nowhere/at/all", NULL);
	expect_refused("/tmp", NULL);
	expect_refused(getenv("TAGMEM_OBJECT"), "sideways");
	expect_equal(status_with(getenv("TAGMEM_OBJECT"), "aliases", "--inside", text, sizeof text), 0);
	expect_equal(status_with(getenv("TAGMEM_OBJECT"), "views", "--inside", text, sizeof text), 0);
	leftovers(getenv("TAGMEM_OBJECT"));
	return finish();
}
