/* Instructions in odd forms and places: addresses of 32 bits, absolute ones, in segments, relative to rip; prefixes without a
 * meaning; at a page's end, over it; code that changes; more code than is kept. */
#include "machine.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint8_t *code; /* two pages, and one that is not mapped */
static struct machine before, after, native;

enum { offset = 5 * 4096 + 4 };

/* Instructions are followed by a jump to the end. `end`: where the instruction ends; the jump may be in another page. */
static const void *place(uint8_t *at, const uint8_t *bytes, size_t count) {
	static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
	const char *target = machine_after;
	memcpy(at, bytes, count);
	memcpy(at + count, jump, sizeof jump);
	memcpy(at + count + sizeof jump, &target, sizeof target);
	return at;
}

static void try(const char *text, const void *start) {
	struct instruction instruction = {.text = text, .start = start};
	static char memory[alias_size], expected[alias_size];
	memcpy(memory, plain, alias_size);
	alias_protect(PROT_READ | PROT_WRITE);
	native = before;
	machine_try(&native, &instruction, true);
	memcpy(expected, plain, alias_size);
	memcpy(plain, memory, alias_size);
	alias_protect(PROT_NONE);
	after = before;
	machine_try(&after, &instruction, false);
	machine_is_same(&native, &after, "form", text);
	CHECK(native.outcome == 0, "%s raised %lu", text, native.outcome);
	CHECK(alias_traps > 0, "%s did not trap", text);
	CHECK(memcmp(expected, plain, alias_size) == 0, "%s: memory", text);
}

static void prepare(void) {
	for (size_t at = 0; at < alias_size; at++) {
		plain[at] = (char)random_number();
	}
	machine_random(&before, plain_instruction, (uintptr_t)alias + offset, (uintptr_t)alias + 9 * 4096);
	before.flags &= ~(uint64_t)0x400;
	before.gpr[1] |= 1;
}

#define FORM(text, ...) \
	do { \
		static const uint8_t bytes[] = {__VA_ARGS__}; \
		prepare(); \
		try(text, place(code, bytes, sizeof bytes)); \
	} while (0)

static void prefixes(void) {
	FORM("movl (%edi), %eax", 0x67, 0x8b, 0x07);
	FORM("movl 8(%edi,%ecx,4), %eax", 0x67, 0x8b, 0x44, 0x8f, 8);
	FORM("addr32 rep movsb", 0x67, 0xf3, 0xa4);
	FORM("addr32 stosq", 0x67, 0x48, 0xab);
	FORM("addr32 lodsw", 0x67, 0x66, 0xad);
	FORM("cs ds movl (%rdi), %eax", 0x2e, 0x3e, 0x8b, 0x07);
	FORM("data16 data16 movw (%rdi), %ax", 0x66, 0x66, 0x8b, 0x07);
	FORM("data16 movq (%rdi), %rax", 0x66, 0x48, 0x8b, 0x07);
	FORM("rex.B before data16 movw (%rdi), %ax", 0x41, 0x66, 0x8b, 0x07);
	FORM("rex.WX movq (%rdi,%r9), %rax", 0x4a, 0x8b, 0x04, 0x0f);
	FORM("rex movb %sil, (%rdi)", 0x40, 0x88, 0x37);
	FORM("rep movl (%rdi), %eax: the prefix means nothing", 0xf3, 0x8b, 0x07);
	FORM("repne movsb", 0xf2, 0xa4);
	FORM("xrelease lock addl $1, (%rdi)", 0xf3, 0xf0, 0x83, 0x07, 1);
	FORM("15 bytes", 0x2e, 0x2e, 0x2e, 0xf0, 0x48, 0x81, 0x87, 8, 0, 0, 0, 1, 2, 3, 4);
	FORM("vmovdqu (%edi), %ymm1", 0x67, 0xc5, 0xfe, 0x6f, 0x0f);
	FORM("vmovdqu (%r13), %xmm9: the long form", 0xc4, 0x41, 0x7a, 0x6f, 0x4d, 0);
	FORM("movl -4(%rdi), %eax with four bytes of displacement", 0x8b, 0x87, 0xfc, 0xff, 0xff, 0xff);
	FORM("movl (%rdi,%riz), %eax", 0x8b, 0x04, 0x27);
	FORM("movl (%rdi,%rcx,8), %r15d", 0x44, 0x8b, 0x3c, 0xcf);
}

/* What needs the alias's address in its bytes. */
static void absolute(void) {
	uint32_t low = (uint32_t)(uintptr_t)(alias + offset);
	uint64_t full = (uintptr_t)(alias + offset);
	static const struct {
		const char *text;
		uint8_t bytes[4], count, size;
	} forms[] = {
	    {"movb moffs, %al", {0xa0}, 1, 8},
	    {"movl moffs, %eax", {0xa1}, 1, 8},
	    {"movw moffs, %ax", {0x66, 0xa1}, 2, 8},
	    {"movq moffs, %rax", {0x48, 0xa1}, 2, 8},
	    {"movb %al, moffs", {0xa2}, 1, 8},
	    {"movq %rax, moffs", {0x48, 0xa3}, 2, 8},
	    {"movl moffs32, %eax", {0x67, 0xa1}, 2, 4},
	    {"addl %edx, disp32", {0x01, 0x14, 0x25}, 3, 4},
	    {"movzbl disp32, %esp", {0x0f, 0xb6, 0x24, 0x25}, 4, 4},
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		uint8_t bytes[16];
		memcpy(bytes, forms[i].bytes, forms[i].count);
		memcpy(bytes + forms[i].count, forms[i].size == 8 ? (const void *)&full : (const void *)&low, forms[i].size);
		prepare();
		try(forms[i].text, place(code, bytes, (size_t)forms[i].count + forms[i].size));
	}
	/* Relative to rip, with an immediate behind it. */
	uint8_t relative[] = {0x48, 0x81, 0x05, 0, 0, 0, 0, 1, 2, 3, 4};
	int32_t distance = (int32_t)((uintptr_t)alias + offset - (uintptr_t)code - sizeof relative);
	memcpy(relative + 3, &distance, 4);
	prepare();
	try("addq $0x04030201, x(%rip)", place(code, relative, sizeof relative));
	relative[2] = 0x3d; /* cmp */
	try("cmpq $0x04030201, x(%rip)", place(code, relative, sizeof relative));
}

static void segments(void) {
	uint64_t fs = 0;
	syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
	syscall(SYS_arch_prctl, ARCH_SET_GS, alias + 4096);
	static const uint8_t with_fs[] = {0x64, 0x48, 0x01, 0x07}, with_gs[] = {0x65, 0x48, 0x8b, 0x07}, lods[] = {0x64, 0xac},
	                     movs[] = {0xf3, 0x65, 0xa4}, xlat[] = {0x65, 0xd7};
	prepare();
	before.gpr[7] = (uintptr_t)alias + offset - fs;
	try("addq %rax, %fs:(%rdi)", place(code, with_fs, sizeof with_fs));
	prepare();
	before.gpr[7] = 64;
	try("movq %gs:(%rdi), %rax", place(code, with_gs, sizeof with_gs));
	prepare();
	before.gpr[6] = (uintptr_t)alias + offset - fs;
	try("lodsb %fs:(%rsi)", place(code, lods, sizeof lods));
	prepare();
	before.gpr[6] = 100;
	before.gpr[1] = 30;
	try("rep movsb %gs:(%rsi), (%rdi)", place(code, movs, sizeof movs));
	prepare();
	before.gpr[3] = 100;
	try("xlat %gs:(%rbx)", place(code, xlat, sizeof xlat));
}

static void page_ends(void) {
	static const uint8_t bytes[] = {0x48, 0x81, 0x87, 8, 0, 0, 0, 1, 2, 3, 4}, jump[] = {0x48, 0x01, 0x07, 0xff, 0xe2};
	for (size_t before_end = 1; before_end < sizeof bytes; before_end++) {
		prepare();
		try("over a page's end", place(code + 4096 - before_end, bytes, sizeof bytes));
	}
	/* The last bytes that are mapped: addq %rax, (%rdi); jmp *%rdx */
	prepare();
	before.gpr[2] = (uintptr_t)machine_after;
	memcpy(code + 8192 - sizeof jump, jump, sizeof jump);
	try("at the last page's end", code + 8192 - sizeof jump);
	/* Cut off by the page's end: no instruction. */
	prepare();
	memcpy(code + 8192 - 5, bytes, 5);
	struct instruction instruction = {.text = "", .start = code + 8192 - 5};
	after = before;
	machine_try(&after, &instruction, false);
	CHECK(after.outcome == SIGSEGV && alias_result.trap == TAGMEM_TRAP_NOT_OURS, "%lu %d", after.outcome, alias_result.trap);
}

/* The same place with other instructions, again and again: more than are kept of one place. */
static void changes(unsigned times) {
	uint8_t bytes[] = {0x48, 0xc7, 0x07, 0, 0, 0, 0}; /* movq $i, (%rdi) */
	struct instruction instruction = {.text = "movq $i, (%rdi)"};
	alias_protect(PROT_NONE);
	prepare();
	for (unsigned i = 0; i < times; i++) {
		uint64_t got;
		memcpy(bytes + 3, &i, 4);
		instruction.start = place(code, bytes, sizeof bytes);
		after = before;
		machine_try(&after, &instruction, false);
		memcpy(&got, plain + offset, 8);
		CHECK(after.outcome == 0 && got == i, "%u: %lu, outcome %lu", i, got, after.outcome);
	}
}

/* More places than are kept. */
static void fill(void) {
	enum { places = 140000, each = 16 };
	uint8_t *all = mmap(NULL, places * each, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const uint8_t bytes[] = {0x48, 0xff, 0x07, 0xc3}; /* incq (%rdi); ret */
	for (unsigned i = 0; i < places; i++) {
		memcpy(all + i * each, bytes, sizeof bytes);
	}
	memset(plain + offset, 0, 8);
	alias_not_done = NULL;
	for (unsigned i = 0; i < places; i++) {
		__asm__ volatile("call *%0" : : "r"(all + i * each), "D"(alias + offset) : "memory", "cc");
	}
	uint64_t count;
	memcpy(&count, plain + offset, 8);
	CHECK(count == places, "%lu", count);
	munmap(all, places * each);
}

/* Threads that have no room left for plans. */
static void *full(void *argument) {
	uint8_t *at = code + 256 * (1 + (intptr_t)argument), bytes[] = {0xf0, 0x48, 0x81, 0x07, 0, 0, 0, 0, 0xc3};
	alias_signal_stack(); /* lock addq $i, (%rdi); ret */
	for (int i = 0; i < 2000; i++) {
		int one = i % 2 ? -i : i + 1;
		memcpy(bytes + 4, &one, 4);
		memcpy(at, bytes, sizeof bytes);
		__asm__ volatile("call *%0" : : "r"(at), "D"(alias + offset) : "memory", "cc");
	}
	return NULL;
}

int main(int argc, char **argv) {
	pthread_t ids[3];
	random_seed(argc, argv);
	alias_map_low();
	alias_handle_signals();
	code = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	munmap(code + 8192, 4096);
	for (int i = 0; i < 20; i++) {
		tagmem_goes_ahead = i % 2 == 0;
		prefixes();
		absolute();
		segments();
		page_ends();
	}
	changes(1000);
	tagmem_goes_ahead = false;
	changes(5000);
	fill();
	memset(plain + offset, 0, 8);
	alias_not_done = NULL;
	for (intptr_t i = 0; i < 3; i++) {
		pthread_create(&ids[i], NULL, full, (void *)i);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(ids[i], NULL);
	}
	uint64_t sum, expected = 0;
	for (uint64_t i = 0; i < 2000; i++) {
		expected += i % 2 ? -i : i + 1;
	}
	memcpy(&sum, plain + offset, 8);
	CHECK(sum == expected * 3, "%ld, expected %ld", (long)sum, (long)expected * 3);
	/* What was kept before is still done, and what is new as well. */
	tagmem_goes_ahead = true;
	prefixes();
	page_ends();
	return finish();
}
