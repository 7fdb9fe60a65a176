/* A fault that is judged is in the device's log, exact, once, and only if it is to be. */
#include "../Space/object.h"

#include <linux/prctl.h>

static char line[4096];

/* The lines of the log from a position on that are about this object; the last is in `line`. */
static int count_lines(long *position) {
	char path[5000], one[4096];
	snprintf(path, sizeof path, "%s/../../faults", object);
	FILE *file = fopen(path, "re");
	const char *name = strrchr(object, '/') + 1;
	int count = 0;
	fseek(file, *position, SEEK_SET);
	while (fgets(one, sizeof one, file)) {
		*position += (long)strlen(one);
		if (!strstr(one, name)) continue;
		strcpy(line, one);
		count++;
	}
	fclose(file);
	return count;
}

static void expect_in_line(const char *text) {
	if (strstr(line, text)) return;
	printf("no \"%s\" in %s", text, line);
	check_failures++;
}

int main(int count, char **arguments) {
	begin(count, arguments);
	set_size(object, 8192);
	char *base = attach(object, 0), text[64];
	expect_equal(tagmem_set_tags(tagmem_with_tag(base + 64, 9), 32), 0);
	uintptr_t pointer = (uintptr_t)tagmem_with_tag(base + 60, 3);
	expect_equal(tagmem_set_tags((void *)pointer, 16), 0);
	long position = 0;
	count_lines(&position);

	tagmem_judge(pointer, 8, false, false);
	expect_equal(count_lines(&position), 0);
	tagmem_judge(pointer, 4, true, true);
	expect_equal(count_lines(&position), 0);
	errno = 77;
	tagmem_judge(pointer, 8, false, true);
	expect_equal(errno, 77);
	expect_equal(count_lines(&position), 1);
	expect_in_line(" mode=sync access=load ");
	expect_in_line(" offset=0x40 size=8 address_tag=3 allocation_tag=9 ");
	expect_in_line(" fault_address=0x300000000000040");
	snprintf(text, sizeof text, " pid=%d comm=%.15s", getpid(), strrchr(arguments[0], '/') + 1);
	expect_in_line(text);

	tagmem_thread.has_control = true;
	tagmem_thread.control = PR_MTE_TCF_ASYNC;
	tagmem_judge((pointer & ~TAGMEM_TAG_MASK) | (uintptr_t)3 << 56, 16, true, true);
	expect_equal(count_lines(&position), 1);
	expect_in_line(" mode=async access=store ");
	expect_in_line(" offset=0x40 size=16 address_tag=3 allocation_tag=9 ");
	tagmem_thread.control = PR_MTE_TCF_MASK;
	tagmem_preferred = PR_MTE_TCF_MASK;
	tagmem_judge(pointer + 4, 1, true, true);
	expect_equal(count_lines(&position), 1);
	expect_in_line(" mode=asymm access=store ");
	tagmem_thread.control = PR_MTE_TCF_NONE;
	tagmem_judge(pointer + 4, 1, true, true);
	expect_equal(count_lines(&position), 0);
	return finish();
}
