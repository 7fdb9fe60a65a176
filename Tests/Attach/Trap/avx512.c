/* AVX-512, also on a processor that has none: how its instructions are rewritten, which elements are judged, and gathers and
 * scatters, with a context that is made up. Vectors.c is compiled in, with another processor. */
#include "alias.h"

#include <cpuid.h>
#undef __cpuid_count
#define __cpuid_count(leaf, number, a, b, c, d) \
	(a = components[number].size, b = components[number].offset, c = 0, d = 0, (void)(d))
static const struct { uint32_t offset, size; } components[64] = {[5] = {1088, 64}, [6] = {1152, 512}, [7] = {1664, 1024}};
#include "../../../Sources/CTagMem/Trap/Vectors.c"

#include <sys/mman.h>

struct pair {
	const char *text;
	const uint8_t *start, *end, *expected, *expected_end;
};
extern const struct pair pairs[], pairs_end[], masks[], gathers[];

__asm__(".pushsection .data.rel.ro, \"aw\"\npairs:\n.text\n"
        ".macro pair text, expected\n.pushsection .rodata\n991: .asciz \"\\text\"\n.popsection\n"
        ".pushsection .data.rel.ro, \"aw\"\n.quad 991b, 992f, 993f, 993f, 994f\n.popsection\n"
        "992: \\text\n993: \\expected\n994:\n.endm\n"
        "pair \"vmovdqu8 64(%rsi,%rcx,8), %zmm1{%k1}\", \"vmovdqu8 (%rdi), %zmm1{%k1}\"\n"
        "pair \"vmovdqu64 %zmm31, -64(%r9)\", \"vmovdqu64 %zmm31, (%rdi)\"\n"
        "pair \"vmovdqu32 (%r15,%r14,2), %ymm17{%k7}{z}\", \"vmovdqu32 (%rdi), %ymm17{%k7}{z}\"\n"
        "pair \"vaddps 4(%rax){1to16}, %zmm28, %zmm9\", \"vaddps (%rdi){1to16}, %zmm28, %zmm9\"\n"
        "pair \"vaddsd 8(%rax,%r12,1), %xmm20, %xmm19{%k2}\", \"vaddsd (%rdi), %xmm20, %xmm19{%k2}\"\n"
        "pair \"vpcompressd %zmm1, 0x12345678(%rbx){%k1}\", \"vpcompressd %zmm1, (%rdi){%k1}\"\n"
        "pair \"vpternlogd $0x96, 0x40(%rsp), %zmm1, %zmm2\", \"vpternlogd $0x96, (%rdi), %zmm1, %zmm2\"\n"
        "pair \"vcvttsd2usi (%rdi), %rdi\", \"vcvttsd2usi (%rsi), %rdi\"\n"
        "pair \"vpinsrq $1, 8(%r13), %xmm16, %xmm17\", \"vpinsrq $1, (%rdi), %xmm16, %xmm17\"\n"
        "pair \"kmovq %k3, 8(%r8,%r9,4)\", \"kmovq %k3, (%rdi)\"\n"
        "pair \"kmovb 8(%rcx), %k5\", \"kmovb (%rdi), %k5\"\n"
        "pair \"vpcmpud $1, 64(%r10), %zmm30, %k3{%k4}\", \"vpcmpud $1, (%rdi), %zmm30, %k3{%k4}\"\n"
        "pair \"vmovdqa64 %fs:(%rax), %zmm5\", \"vmovdqa64 (%rdi), %zmm5\"\n"
        "pair \"vmovups 0x1000(%rip), %zmm5\", \"vmovups (%rdi), %zmm5\"\n"
        "pair \"andnq 8(%r8), %r9, %rsp\", \"andnq (%rdi), %r9, %rsi\"\n"
        "pair \"mulxq (%r12), %rsp, %r9\", \"mulxq (%rdi), %rsi, %r9\"\n"
        "pair \"shrxq %rsp, (%r8,%r9), %r10\", \"shrxq %rsi, (%rdi), %r10\"\n"
        ".pushsection .data.rel.ro, \"aw\"\npairs_end:\nmasks:\n.popsection\n"
        "pair \"vmovdqu8 (%rax), %zmm1{%k1}\", \"\"\n"
        "pair \"vmovdqu32 %zmm1, (%rax){%k1}\", \"\"\n"
        "pair \"vaddpd (%rax){1to8}, %zmm1, %zmm2{%k1}\", \"\"\n"
        "pair \"vaddss (%rax), %xmm1, %xmm2{%k1}\", \"\"\n"
        "pair \"vcvtps2pd (%rax), %zmm2{%k1}\", \"\"\n"
        "pair \"vpmovqb %zmm1, (%rax){%k1}\", \"\"\n"
        "pair \"vpcompressd %zmm1, (%rax){%k1}\", \"\"\n"
        "pair \"vpexpandq (%rax), %zmm1{%k1}{z}\", \"\"\n"
        "pair \"vbroadcastf32x4 (%rax), %zmm1{%k1}\", \"\"\n"
        "pair \"vpcmpeqd (%rax), %zmm1, %k2{%k1}\", \"\"\n"
        "pair \"vpcmpeqd (%rax){1to16}, %zmm1, %k2{%k1}\", \"\"\n"
        "pair \"vcvtpd2ps (%rax), %ymm2{%k1}\", \"\"\n"
        "pair \"vpunpckldq (%rax), %zmm1, %zmm2{%k1}\", \"\"\n"
        ".pushsection .data.rel.ro, \"aw\"\ngathers:\n.popsection\n"
        "pair \"vpgatherdd (%rax,%zmm2,4), %zmm19{%k1}\", \"\"\n"
        "pair \"vpgatherqd 8(%rax,%zmm20,1), %ymm3{%k1}\", \"\"\n"
        "pair \"vscatterdpd %zmm3, (%rax,%ymm2,8){%k1}\", \"\"\n");

static void rewritten(void) {
	for (const struct pair *pair = pairs; pair < pairs_end; pair++) {
		struct tagmem_plan plan;
		uint8_t code[16], expected[16] = {0};
		bool is_short;
		size_t size = (size_t)(pair->expected_end - pair->expected);
		memcpy(expected, pair->expected, size);
		expected[size] = 0xc3;
		bool is_made = tagmem_plan_make(&plan, (uintptr_t)pair->start, pair->start, (size_t)(pair->end - pair->start), code,
		    &is_short);
		CHECK(is_made && plan.length == pair->end - pair->start, "%s", pair->text);
		CHECK(memcmp(code, expected, 16) == 0, "%s: %02x %02x %02x %02x %02x %02x %02x", pair->text, code[0], code[1],
		    code[2], code[3], code[4], code[5], code[6]);
	}
}

static _Alignas(64) uint8_t state[4096];
static ucontext_t context;
static struct tagmem_trap_result result;
enum { offset = 4096 * 3 + 64 };

static struct tagmem_attempt attempt_of(const struct pair *pair, struct tagmem_plan *plan) {
	uint8_t code[16];
	bool is_short;
	struct tagmem_attempt attempt = {.plan = plan, .context = &context, .result = &result};
	uint64_t features = 0xe7;
	uint32_t found = 0x46505853;
	memcpy(state + 464, &found, 4);
	memcpy(state + 472, &features, 8);
	memcpy(state + 512, &features, 8);
	context.uc_mcontext.fpregs = (void *)state;
	context.uc_mcontext.gregs[REG_RAX] = (greg_t)(alias + offset);
	tagmem_plan_make(plan, 0, pair->start, (size_t)(pair->end - pair->start), code, &is_short);
	tagmem_registers_load(&attempt);
	alias_call_count = 0;
	return attempt;
}

static void set_mask(uint64_t mask) { memcpy(state + 1088 + 8, &mask, 8); }

/* Bytes from the operand on that are judged, as a string of ranges. */
static void check_mask(const struct pair *pair, uint64_t mask, const char *expected) {
	struct tagmem_plan plan;
	struct tagmem_attempt attempt = attempt_of(pair, &plan);
	char text[600] = "";
	set_mask(mask);
	if (plan.kind == TAGMEM_KIND_MASKED) {
		tagmem_admit_masked(&attempt, (uintptr_t)alias + offset);
		for (int i = 0; i < alias_call_count; i++) {
			size_t length = strlen(text), at = alias_calls[i].address - (uintptr_t)alias - offset;
			snprintf(text + length, sizeof text - length, "%s%zu-%zu", i ? " " : "", at, at + alias_calls[i].size);
		}
	} else {
		snprintf(text, sizeof text, "0-%u", plan.size);
	}
	CHECK(strcmp(text, expected) == 0, "%s with %#lx: %s, expected %s", pair->text, mask, text, expected);
}

static void judged(void) {
	const struct pair *pair = masks;
	check_mask(pair, 0, "");
	check_mask(pair, ~(uint64_t)0, "0-64");
	check_mask(pair++, 0x800000000000f006, "1-3 12-16 63-64");
	check_mask(pair++, 0xffff8003, "0-8 60-64");
	check_mask(pair, 0x80, "0-8"); /* a broadcast: any element is it */
	check_mask(pair++, 0xff00, "");
	check_mask(pair, 1, "0-4"); /* a scalar: bit 0 alone */
	check_mask(pair++, 0xfffe, "");
	check_mask(pair++, 0x81, "0-4 28-32");
	check_mask(pair++, 0x106, "1-3");
	check_mask(pair++, 0x8421, "0-16"); /* one after the other */
	check_mask(pair++, 0x81, "0-16");
	check_mask(pair, 0x8000, "12-16"); /* element 15 is the fourth in memory */
	check_mask(pair++, 0x0110, "0-4");
	check_mask(pair++, 0x4001, "0-4 56-60");
	check_mask(pair, 0x4000, "0-4");
	check_mask(pair++, 0x10000, "");
	check_mask(pair++, 0x82, "8-16 56-64");
	check_mask(pair, 0, "0-64"); /* does not suppress faults */
}

/* Vectors in the context, by the architecture's layout. */
static uint8_t *lane(int number, int byte) {
	if (number >= 16) {
		return state + 1664 + 64 * (number - 16) + byte;
	}
	return byte < 16 ? state + 160 + 16 * number + byte
	    : byte < 32  ? state + 576 + 16 * number + byte - 16
	                 : state + 1152 + 32 * number + byte - 32;
}

static void put(int number, int at, const void *value, int size) {
	for (int i = 0; i < size; i++) {
		*lane(number, at + i) = ((const uint8_t *)value)[i];
	}
}

static uint64_t get(int number, int at, int size) {
	uint64_t value = 0;
	for (int i = 0; i < size; i++) {
		value |= (uint64_t)*lane(number, at + i) << 8 * i;
	}
	return value;
}

static uint64_t mask_left(void) {
	uint64_t mask;
	memcpy(&mask, state + 1088 + 8, 8);
	return mask;
}

static void gathered(void) {
	struct tagmem_plan plan;
	uint64_t marker = 0xeeeeeeeeeeeeeeee;
	for (int at = 0; at < 64; at += 8) {
		put(19, at, &marker, 8);
		put(3, at, &marker, 8);
	}
	for (int32_t i = 0; i < 16; i++) {
		put(2, 4 * i, &(int32_t){i * 5 - 8}, 4);
	}
	/* All but two; one is bad. */
	set_mask(0xfff6);
	alias_is_bad[(offset + 4 * (10 * 5 - 8)) / 16] = true;
	struct tagmem_attempt attempt = attempt_of(&gathers[0], &plan);
	CHECK(!tagmem_do_gather(&attempt) && result.trap == TAGMEM_TRAP_FAULT, "element 10 is bad");
	CHECK(mask_left() == 0xfc00, "%#lx", mask_left());
	alias_is_bad[(offset + 4 * (10 * 5 - 8)) / 16] = false;
	attempt = attempt_of(&gathers[0], &plan);
	CHECK(tagmem_do_gather(&attempt) && mask_left() == 0, "%#lx", mask_left());
	for (int i = 0; i < 16; i++) {
		uint32_t expected = (uint32_t)marker;
		if (0xfff6 >> i & 1) {
			memcpy(&expected, plain + offset + 4 * (i * 5 - 8), 4);
		}
		CHECK(get(19, 4 * i, 4) == expected, "element %d: %#lx, expected %#x", i, get(19, 4 * i, 4), expected);
	}
	/* Eight indices of 64 bits, and eight values of 32: half a vector, and the rest is 0. */
	for (int64_t i = 0; i < 8; i++) {
		put(20, (int)(8 * i), &(int64_t){i * 3 - 4}, 8);
	}
	set_mask(0xff);
	attempt = attempt_of(&gathers[1], &plan);
	CHECK(tagmem_do_gather(&attempt), "%d", result.trap);
	for (int i = 0; i < 8; i++) {
		uint32_t expected;
		memcpy(&expected, plain + offset + 8 + i * 3 - 4, 4);
		CHECK(get(3, 4 * i, 4) == expected && get(3, 32 + 4 * i, 4) == 0, "element %d: %#lx", i, get(3, 4 * i, 4));
	}
	/* Two elements go to the same place: the last one is there. */
	for (int32_t i = 0; i < 8; i++) {
		put(2, 4 * i, &(int32_t){i / 2}, 4);
		put(3, 8 * i, &(uint64_t){0x1000 + (uint64_t)i}, 8);
	}
	set_mask(0x7f);
	attempt = attempt_of(&gathers[2], &plan);
	CHECK(tagmem_do_gather(&attempt) && mask_left() == 0, "%#lx", mask_left());
	for (int i = 0; i < 4; i++) {
		uint64_t stored;
		memcpy(&stored, plain + offset + 8 * i, 8);
		CHECK(stored == (uint64_t)(i == 3 ? 0x1006 : 0x1001 + 2 * i), "stored %d: %#lx", i, stored);
	}
}

int main(int argc, char **argv) {
	random_seed(argc, argv);
	alias_map();
	for (size_t at = 0; at < alias_size; at++) {
		plain[at] = (char)random_number();
	}
	rewritten();
	judged();
	gathered();
	return finish();
}
