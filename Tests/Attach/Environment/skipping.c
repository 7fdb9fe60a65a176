/* Handlers that skip the instruction which faulted, or the function that stands for one. */
#include "environment.h"

#include <tagmem/arm_acle.h>
#include <tagmem/environment.h>

static volatile int count, code, number;
static volatile uintptr_t address;
static char *volatile inner; /* a handler stores its tag */

static void on_skip(int signal, siginfo_t *info, void *context) {
	count++;
	number = signal;
	code = info->si_code;
	address = (uintptr_t)info->si_addr;
	char *pointer = inner;
	inner = NULL;
	if (pointer != NULL)
		__arm_mte_set_tag(pointer);
	expect(tagmem_skip_instruction(context));
}

static void expect_skipped(int expected_count, int expected_number, int expected_code, const void *expected) {
	expect_equal(count, expected_count);
	expect_equal(number, expected_number);
	expect_equal(code, expected_code);
	expect_equal(address, (uintptr_t)expected);
	count = 0;
}

int main(int argument_count, char **arguments) {
	begin(argument_count, arguments);
	struct sigaction action = {.sa_sigaction = on_skip, .sa_flags = SA_SIGINFO | SA_NODEFER | 0x800};
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	char *memory = mmap(NULL, 2 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(munmap(memory + page, page), 0);
	char *gone = tagmem_with_tag(memory + page + 32, 5);
	/* Instructions. */
	*(volatile char *)gone = 1;
	expect_skipped(1, SIGSEGV, SEGV_MAPERR, gone);
	uintptr_t left = 100;
	char *at = gone;
	__asm__ volatile("movl $7, (%1)\n"
			 "movabsq $0x1122334455667788, %%rax\n"
			 "movq %%rax, 8(%1)\n"
			 "rep stosb"
			 : "+c"(left), "+D"(at)
			 :
			 : "rax", "memory");
	expect_equal(count, 3);
	count = 0;
	/* Functions. */
	char *result = __arm_mte_get_tag(gone);
	expect_skipped(1, SIGSEGV, SEGV_MAPERR, gone);
	expect(result == gone);
	__arm_mte_set_tag(gone);
	expect_skipped(1, SIGSEGV, SEGV_MAPERR, gone);
	__arm_mte_set_tag((char *)tagmem_with_tag(memory, 3) + 8);
	expect_skipped(1, SIGBUS, BUS_ADRALN, (char *)tagmem_with_tag(memory, 3) + 8);
	expect_equal(tagmem_get_tag(memory), 0);
	expect_equal(mprotect(memory, page, PROT_READ), 0);
	__arm_mte_set_tag(tagmem_with_tag(memory, 3));
	expect_skipped(1, SIGSEGV, SEGV_ACCERR, tagmem_with_tag(memory, 3));
	expect_equal(mprotect(memory, page, read_write), 0);
	expect_equal(tagmem_get_tag(memory), 0);
	/* Within each other. */
	inner = gone + 16;
	__arm_mte_set_tag(gone);
	expect_equal(count, 2);
	inner = (char *)tagmem_with_tag(memory, 9) + 1;
	*(volatile char *)gone = 1;
	expect_equal(count, 4);
	inner = tagmem_with_tag(memory, 9);
	__arm_mte_set_tag(gone);
	expect_equal(count, 5);
	expect_equal(tagmem_get_tag(memory), 9);
	/* Memory that is nobody's. */
	count = 0;
	__arm_mte_set_tag((char *)64);
	expect_skipped(1, SIGSEGV, SEGV_MAPERR, (char *)64);
	return finish();
}
