/*
 * What `tagmemd run` is tested with: `faults ACTION`. Prints the address with tag 0 of a page whose granule 2 has tag 5 and
 * granule 3 tag 9, then does the action, and exits with status 7.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arm_acle.h>
#include <tagmem.h>

static volatile char sink;

__attribute__((noinline)) static void overflow(char *block) {
	block[16] = 'x'; /* LINE overflow */
}

__attribute__((noinline)) static void peek(const char *block) {
	sink = block[20]; /* LINE peek */
}

static void caught(int number, siginfo_t *info, void *context) {
	(void)number, (void)info, (void)context;
	static const char text[] = "caught\n";
	if (write(STDOUT_FILENO, text, sizeof text - 1) > 0) _exit(3);
}

int main(int count, char **arguments) {
	const char *action = count > 1 ? arguments[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	char *block = tagmem_with_tag(page + 32, 5);
	__arm_mte_set_tag(block);
	__arm_mte_set_tag(tagmem_with_tag(page + 48, 9));
	printf("%p\n", (void *)page);
	if (strcmp(action, "catch") == 0) {
		struct sigaction catch = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
		sigaction(SIGSEGV, &catch, NULL);
	}
	if (strcmp(action, "store") == 0 || strcmp(action, "catch") == 0) overflow(block);
	if (strcmp(action, "load") == 0) peek(block);
	if (strcmp(action, "wait") == 0) pause();
	/* Where an asynchronous fault is told. */
	return write(STDOUT_FILENO, "", 0) == 0 ? 7 : 1;
}
