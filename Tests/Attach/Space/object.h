/* What tests of attachments share: the object's files, seen from outside of the attachment. */
#ifndef OBJECT_H
#define OBJECT_H

#include "../Signals/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "internal.h"

static const char *object; /* its directory */

static inline int open_of(const char *directory, const char *name, int flags) {
	char path[5000];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	int file = open(path, flags | O_CLOEXEC, 0600);
	if (file < 0) {
		printf("%s: %s\n", path, strerror(errno));
		exit(1);
	}
	return file;
}

static inline void set_size(const char *directory, off_t size) {
	int file = open_of(directory, "mem", O_RDWR);
	expect_equal(ftruncate(file, size), 0);
	close(file);
}

/* Tags and bytes as every other program sees them. */
static inline unsigned outside_tag(uint64_t offset) {
	char digit[2] = { 0 };
	int file = open_of(object, "tags.hex", O_RDONLY);
	expect_equal(pread(file, digit, 1, (off_t)(offset / 16)), 1);
	close(file);
	return (unsigned)strtoul(digit, NULL, 16);
}

static inline void set_outside_tags(uint64_t offset, uint64_t length, char digit) {
	int file = open_of(object, "tags.hex", O_RDWR);
	char *digits = malloc(length / 16);
	memset(digits, digit, length / 16);
	expect_equal(pwrite(file, digits, length / 16, (off_t)(offset / 16)), length / 16);
	free(digits);
	close(file);
}

static inline int outside_byte(const char *name, uint64_t offset) {
	unsigned char byte = 0;
	int file = open_of(object, name, O_RDONLY);
	ssize_t count = pread(file, &byte, 1, (off_t)offset);
	int error = errno;
	close(file);
	return count == 1 ? byte : count == 0 ? -1000 : -error;
}

static inline char *attach(const char *directory, unsigned flags) {
	char *base = tagmem_attach(directory, flags);
	if (!base) {
		printf("tagmem_attach(%s, %u): %s\n", directory, flags, strerror(errno));
		exit(1);
	}
	return base;
}

static inline struct tagmem_span *span_of(const void *base) { return tagmem_pointer_of((uintptr_t)base).span; }

/* The signal that an access gets, 0 if it is done; with `caught` what the signal says. */
static sigjmp_buf back;
static siginfo_t caught;
static inline void catch(int number, siginfo_t *info, void *context) {
	(void)context;
	caught = *info;
	siglongjmp(back, number);
}

static inline void catch_signals(void) {
	struct sigaction action = { .sa_sigaction = catch, .sa_flags = SA_SIGINFO | 0x800 /* SA_EXPOSE_TAGBITS */ };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

#define signal_of(access)                                                                                              \
	({                                                                                                             \
		int number_ = sigsetjmp(back, 1);                                                                      \
		if (number_ == 0) {                                                                                    \
			access;                                                                                        \
		}                                                                                                      \
		number_;                                                                                               \
	})

static inline int load_signal(const volatile void *address) {
	return signal_of((void)*(const volatile char *)address);
}

static inline int store_signal(volatile void *address, char byte) { return signal_of(*(volatile char *)address = byte); }

/* The kernel's own view: the protections that the page of an address with tag 0 is mapped with in all aliases, -1 for none. */
static inline void protections_of(uintptr_t address, int protections[16]) {
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4200], letters[5];
	uintptr_t start, end;
	for (unsigned tag = 0; tag < 16; tag++) protections[tag] = -1;
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, letters) != 3) continue;
		for (uintptr_t tag = 0; tag < 16; tag++) {
			uintptr_t page = address + (tag << TAGMEM_TAG_SHIFT);
			if (page < start || page >= end) continue;
			protections[tag] = (letters[0] == 'r' ? PROT_READ : 0) | (letters[1] == 'w' ? PROT_WRITE : 0) |
					   (letters[2] == 'x' ? PROT_EXEC : 0);
		}
	}
	fclose(maps);
}

static inline int protection_of(const void *address) {
	int protections[16];
	protections_of((uintptr_t)tagmem_strip(address), protections);
	return protections[tagmem_tag(address)];
}

/* The test's object, and a bound for the whole. */
static inline void begin(int count, char **arguments) {
	if (count < 2) {
		printf("usage: %s DIRECTORY\n", arguments[0]);
		exit(1);
	}
	object = arguments[1];
	alarm(60);
}

#endif
