/* LDG and STG, where they cannot be done without asking; with the signals that the instructions raise. */
#include "internal.h"

#include <tagmem/arm_acle.h>

#include <errno.h>
#include <sys/mman.h>

/* A load or store of memory that is no attachment's is refused by the kernel itself, or it is memory without tags. */
static void touch(uintptr_t address, bool is_store) {
	volatile char *byte = (volatile char *)(address & (((uintptr_t)1 << 56) - 1));
	if (is_store) {
		__asm__ volatile("lock orb $0, %0" : "+m"(*byte));
	} else {
		(void)*byte;
	}
}

/* Whether the granule has a tag to load or store. What the instruction would be refused is raised until it is not: a handler
 * that returns repeats it, unless it has skipped it. */
enum has { has_tag, has_none, is_skipped };
static enum has look(struct tagmem_pointer where, uintptr_t address, bool is_store) {
	for (;;) {
		unsigned bits = tagmem_page_of(where.span, where.offset);
		if (bits & (is_store ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC)) return bits & PROT_MTE ? has_tag : has_none;
		bool is_gone = !bits && !where.span->is_environment;
		int code = is_gone ? BUS_ADRERR : bits ? SEGV_ACCERR : SEGV_MAPERR;
		if (tagmem_raise(is_gone ? SIGBUS : SIGSEGV, code, address)) return is_skipped;
	}
}

void *tagmem_ldg(const void *pointer) {
	uintptr_t address = (uintptr_t)pointer;
	int error = errno;
	struct tagmem_pointer where = tagmem_pointer_of(address);
	uint8_t tag = 0;
	if (!where.span) {
		touch(address, false);
	} else {
		enum has has;
		while ((has = look(where, address, false)) == has_tag && tagmem_load_tags(pointer, &tag, 1) != 0) {
			if (tagmem_raise(SIGBUS, BUS_ADRERR, address)) has = is_skipped;
			if (has == is_skipped) break;
		}
		if (has == is_skipped) tag = (uint8_t)where.tag;
	}
	errno = error;
	return (void *)tagmem_retag(address, tag);
}

void tagmem_stg(const void *pointer) {
	uintptr_t address = (uintptr_t)pointer;
	int error = errno;
	struct tagmem_pointer where = tagmem_pointer_of(address);
	while (address % TAGMEM_GRANULE) {
		if (tagmem_raise(SIGBUS, BUS_ADRALN, address)) return;
	}
	if (!where.span) {
		touch(address, true);
		return;
	}
	while (look(where, address, true) == has_tag && tagmem_set_tags(pointer, TAGMEM_GRANULE) != 0) {
		if (tagmem_raise(SIGBUS, BUS_ADRERR, address)) break;
	}
	errno = error;
}
