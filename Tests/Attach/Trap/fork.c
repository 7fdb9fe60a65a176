/* A child does instructions that its parent has done, and both do others: neither sees the other's rewritten code. */
#include "alias.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { places = 400, each = 16 };

static uint8_t *code;

/* movq $value, 8 * at(%rdi); ret */
static void write_code(int at, uint32_t value) {
	uint8_t bytes[] = {0x48, 0xc7, 0x87, 0, 0, 0, 0, 0, 0, 0, 0, 0xc3};
	int32_t offset = 8 * at;
	memcpy(bytes + 3, &offset, 4);
	memcpy(bytes + 7, &value, 4);
	memcpy(code + at * each, bytes, sizeof bytes);
}

static void run(int at, long *memory) {
	__asm__ volatile("call *%0" : : "r"(code + at * each), "D"(memory) : "memory", "cc");
}

static void work(long *memory, const long *seen, uint32_t mark, int from, int to) {
	for (int at = from; at < to; at++) {
		write_code(at, mark + (uint32_t)at);
	}
	for (int round = 0; round < 6; round++) {
		for (int at = 0; at < to; at++) {
			run(at, memory);
		}
		for (int at = 0; at < to; at++) {
			uint32_t expected = at < from ? 0x10000u + (uint32_t)at : mark + (uint32_t)at;
			CHECK(seen[at] == (long)expected, "round %d, %d: %#lx, expected %#x", round, at, seen[at], expected);
		}
		usleep(1000);
	}
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	alias_handle_signals();
	tagmem_goes_ahead = false;
	code = mmap(NULL, places * each, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	alias_protect(PROT_NONE);
	work((long *)alias, (long *)plain, 0x10000, 0, 100);
	for (int i = 0; i < 3; i++) { /* children of children */
		pid_t child = fork();
		if (child == 0) {
			work((long *)(alias + 8192 * (i + 1)), (long *)(plain + 8192 * (i + 1)), 0x20000u << i, 100, places);
			if (i == 2 || failures > 0) {
				return finish();
			}
			/* In the next one the first hundred are as at first. */
			continue;
		}
		/* Each process has memory of its own: they work at the same time. */
		work((long *)(alias + 8192 * (i + 4)), (long *)(plain + 8192 * (i + 4)), 0x700000u << i, 100, places);
		int status;
		CHECK(waitpid(child, &status, 0) == child && status == 0, "child %d: %#x", i, status);
		break;
	}
	return finish();
}
