/* The daemon dies under attachments: errnos and SIGBUS, and no hang. Argument 2 is its process, on a device of its own. */
#include "object.h"

#include <time.h>

enum { size = 64 << 20, page = 4096 };

static void use_all(char *base) {
	char *touched = tagmem_with_tag(base, 4), *fresh = tagmem_with_tag(base + size / 2, 0);
	uint8_t tags[300] = { 0 };
	/* What the kernel has still may be there, what it has not is not. */
	(void)load_signal(touched);
	(void)store_signal(touched + 1, 1);
	(void)signal_of(tagmem_set_tags(tagmem_with_tag(base, 5), 16));
	(void)tagmem_get_tag(touched);
	expect_equal(load_signal(fresh), SIGBUS);
	expect_equal(caught.si_code, BUS_ADRERR);
	expect_equal(store_signal(fresh + page, 1), SIGBUS);
	expect_errno(tagmem_load_tags(fresh, tags, 300), EFAULT);
	expect_equal(signal_of(expect_equal(tagmem_set_tags_of_range(fresh, 16), -1)), 0);
	expect_equal(signal_of(expect_equal(tagmem_set_tags_of_range(fresh, page), -1)), 0);
	expect_equal(signal_of(expect_equal(tagmem_set_tags_zero(fresh, page), -1)), 0);
	expect_equal(signal_of(expect_equal(tagmem_store_tags(fresh, tags, 300), -1)), 0);
	expect_equal(tagmem_judge((uintptr_t)fresh, 8, true, true).verdict, TAGMEM_GONE);
	expect_equal(tagmem_resize(base, size + page), -1);
	(void)tagmem_sync(base, size);
	(void)tagmem_size(base);
	tagmem_close_page((uintptr_t)fresh);
	expect_equal(load_signal(fresh), SIGBUS);
	tagmem_open_page((uintptr_t)fresh);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	if (count < 3) {
		printf("usage: %s DIRECTORY DAEMON\n", arguments[0]);
		return 1;
	}
	catch_signals();
	set_size(object, size);
	char *bases[2];
	for (unsigned flags = 0; flags < 2; flags++) {
		bases[flags] = attach(object, flags);
		expect_equal(tagmem_set_tags(tagmem_with_tag(bases[flags], 4), page), 0);
		*(char *)tagmem_with_tag(bases[flags], 4) = 1;
	}
	pid_t daemon = atoi(arguments[2]);
	expect_equal(kill(daemon, SIGKILL), 0);
	while (kill(daemon, 0) == 0) {
		/* A child of somebody who does not wait for it is a process still. */
		char path[64], state = 0;
		snprintf(path, sizeof path, "/proc/%d/stat", daemon);
		FILE *file = fopen(path, "re");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1 || state == 'Z') break;
		fclose(file);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	for (unsigned flags = 0; flags < 2; flags++) use_all(bases[flags]);
	errno = 0;
	expect_equal((uintptr_t)tagmem_attach(object, 0), 0);
	expect(errno != 0);
	for (unsigned flags = 0; flags < 2; flags++) expect_equal(tagmem_detach(bases[flags]), 0);
	return finish();
}
