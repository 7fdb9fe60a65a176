/*
 * What tests of the cases of other projects' suites share. They are plain C for Linux on a machine with MTE: built for one
 * they say the same, but for what is in `#ifdef __aarch64__`.
 */
#ifndef SUITES_H
#define SUITES_H

#include "mte.h"

#include "../Signals/check.h"

#include <sched.h>
#include <sys/auxv.h>
#include <ucontext.h>
#ifndef __aarch64__
#include <tagmem/environment.h>
#endif

#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#define SEGV_MTESERR 9
#endif
#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#endif
#ifndef HWCAP3_MTE_FAR
#define HWCAP3_MTE_FAR (1UL << 0)
#define HWCAP3_MTE_STORE_ONLY (1UL << 1)
#endif
#ifndef PR_MTE_STORE_ONLY
#define PR_MTE_STORE_ONLY (1UL << 19)
#endif

enum { nonzero_tags = 0xfffe, all_tags = 0xffff, read_write = PROT_READ | PROT_WRITE };
enum mode { mode_none, mode_sync, mode_async };

static inline void begin(void) {
	alarm(150);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* MARK: Faults */

/* What came since `fault` was cleared. A synchronous one is that of the instruction, which is skipped. */
static volatile struct fault {
	int count, code, number;
	uintptr_t address;
	pid_t thread;
} fault;

static inline void skip_instruction(void *context) {
#ifdef __aarch64__
	((ucontext_t *)context)->uc_mcontext.pc += 4;
#else
	if (!tagmem_skip_instruction(context)) {
		printf("no instruction: code %d at %#lx\n", fault.code, fault.address);
		_exit(9);
	}
#endif
}

static inline void on_fault(int number, siginfo_t *info, void *context) {
	fault.count++;
	fault.number = number;
	fault.code = info->si_code;
	fault.address = (uintptr_t)info->si_addr;
	fault.thread = gettid();
	if (fault.count > 10000) {
		printf("no end of faults: code %d at %#lx\n", fault.code, fault.address);
		_exit(9);
	}
	if (info->si_code != SEGV_MTEAERR)
		skip_instruction(context);
}

/* `flags`: SA_EXPOSE_TAGBITS, or 0. */
static inline void catch_faults(int flags) {
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};
	expect_equal(sigaction(SIGSEGV, &action, NULL), 0);
	expect_equal(sigaction(SIGBUS, &action, NULL), 0);
}

static inline void clear_fault(void) { fault = (struct fault){0, 0, 0, 0, 0}; }

static inline void expect_no_fault(void) {
	sched_yield();
	expect_equal(fault.count, 0);
	if (fault.count != 0)
		printf("fault: code %d at %#lx\n", fault.code, fault.address);
	clear_fault();
}

/* Whether a fault's address has bits 63:60 of the pointer. */
static inline bool has_far(void) { return (getauxval(AT_HWCAP3) & HWCAP3_MTE_FAR) != 0; }

/* One, as the mode has it, of an access whose first bad byte is at the pointer; an asynchronous one has come at the latest
 * with a system call. */
static inline void expect_fault(enum mode mode, const void *at, bool exposes) {
	if (mode == mode_async)
		sched_yield();
	uintptr_t address = (uintptr_t)at & (!exposes ? address_bits : has_far() ? UINTPTR_MAX : UINTPTR_MAX >> 4);
	expect_equal(fault.count, mode == mode_none ? 0 : 1);
	if (mode != mode_none && fault.count > 0) {
		expect_equal(fault.number, SIGSEGV);
		expect_equal(fault.code, mode == mode_sync ? SEGV_MTESERR : SEGV_MTEAERR);
		expect_equal(fault.address, mode == mode_sync ? address : 0);
		expect_equal(fault.thread, gettid());
	}
	clear_fault();
}

static inline bool has_store_only(void) { return (getauxval(AT_HWCAP3) & HWCAP3_MTE_STORE_ONLY) != 0; }

static inline void enter(enum mode mode, unsigned long included, unsigned long more) {
	static const unsigned long modes[] = {PR_MTE_TCF_NONE, PR_MTE_TCF_SYNC, PR_MTE_TCF_ASYNC};
	expect_equal(set_mode(modes[mode] | more, included), 0);
}

/* LDG: the pointer with the tag of its granule. gcc's intrinsic for Arm is one that it moves and joins. */
static inline char *load_tag(char *at) {
#ifdef __aarch64__
	__asm__ volatile("ldg %0, [%0]" : "+r"(at)::"memory");
	return at;
#else
	return __arm_mte_get_tag(at);
#endif
}

/* MARK: Accesses of single bytes */

/* A pointer whose accesses never fault. */
static inline char *own(const char *at) { return with_tag(at, memory_tag(at)); }

/* A pointer with bits 63:60, which no access looks at. Its tag is in bits 59:56. */
static inline char *with_address_tag(const char *at, unsigned top) {
	uintptr_t address = (uintptr_t)at & address_bits;
	return (char *)(address | (uintptr_t)pointer_tag(at) << 56 | (uintptr_t)top << 60);
}

/* A store through a pointer with another tag than the memory: done or not, and told, as the mode has it. */
static inline void expect_bad_store(enum mode mode, char *at, bool exposes) {
	char before = *own(at), value = before == 'Z' ? 'Y' : 'Z';
	clear_fault();
	*(volatile char *)at = value;
	expect_fault(mode, at, exposes);
	expect_equal(*own(at), mode == mode_sync ? before : value);
}

static inline void expect_bad_load(enum mode mode, const char *at, bool exposes) {
	clear_fault();
	char value = *(const volatile char *)at;
	expect_fault(mode, at, exposes);
	if (mode != mode_sync)
		expect_equal(value, *own(at));
}

/* A store of 8 bytes of which only some are in granules with another tag, from `bad` on: all or nothing is done. */
static inline void expect_bad_word(enum mode mode, char *at, const char *bad, bool exposes) {
	const uint64_t value = 0x5a5a5a5a5a5a5a5a;
	char before[sizeof value];
	for (size_t i = 0; i < sizeof value; i++)
		before[i] = *own(at + i);
	clear_fault();
	store_word(at, value);
	expect_fault(mode, bad, exposes);
	for (size_t i = 0; i < sizeof value; i++)
		expect_equal(*own(at + i), mode == mode_sync ? before[i] : 'Z');
}

/* One that must be done. */
static inline void expect_good_store(char *at) {
	char value = *own(at) == 'Z' ? 'Y' : 'Z';
	clear_fault();
	*(volatile char *)at = value;
	expect_no_fault();
	expect_equal(*own(at), value);
}

/* MARK: Ranges */

/* Bytes through a pointer with their tags. */
static inline void expect_bytes(const char *at, size_t size, char byte) {
	for (size_t i = 0; i < size; i++) {
		if (at[i] != byte) {
			printf("byte %zu of %zu:\n", i, size);
			expect_equal(at[i], byte);
			return;
		}
	}
}

static inline void expect_tags(const char *at, size_t size, unsigned tag) {
	for (size_t i = 0; i < size; i += granule_size) {
		if (memory_tag(at + i) != tag) {
			printf("granule %zu of %zu:\n", i / granule_size, size / granule_size);
			expect_equal(memory_tag(at + i), tag);
			return;
		}
	}
}

static inline size_t whole_granules(size_t size) { return (size + granule_size - 1) & -(size_t)granule_size; }

/* Tags the granules that a range of bytes touches with a tag of IRG's that is not 0. */
static inline char *tag_randomly(char *at, size_t size) {
	unsigned tag = pointer_tag(insert_random_tag(at, 1));
	expect(tag != 0);
	return set_tags(at, whole_granules(size), tag);
}

/* MARK: Mappings */

/* How memory with tags is had. */
struct kind {
	bool is_file, is_shared, by_mprotect;
};
enum { file_byte = 'F' };

/* A file of tmpfs, that is full of file_byte. */
static inline int tmpfs_file(size_t size) {
	static char bytes[1 << 16];
	int fd = memfd_create("suites", MFD_CLOEXEC);
	expect(fd >= 0);
	memset(bytes, file_byte, sizeof bytes);
	for (size_t done = 0; done < size;) {
		ssize_t count = write(fd, bytes, size - done < sizeof bytes ? size - done : sizeof bytes);
		if (count <= 0) {
			expect_equal(errno, 0);
			break;
		}
		done += (size_t)count;
	}
	return fd;
}

static inline char *map_kind(struct kind kind, size_t size) {
	int flags = kind.is_shared ? MAP_SHARED : MAP_PRIVATE, fd = -1;
	if (kind.is_file)
		fd = tmpfs_file(size);
	else
		flags |= MAP_ANONYMOUS;
	char *memory = mmap(NULL, size, kind.by_mprotect ? read_write : read_write | PROT_MTE, flags, fd, 0);
	if (memory == MAP_FAILED) {
		printf("mmap: %s\n", strerror(errno));
		exit(1);
	}
	if (kind.by_mprotect)
		expect_equal(mprotect(memory, size, read_write | PROT_MTE), 0);
	if (fd >= 0)
		close(fd);
	return memory;
}

#endif
