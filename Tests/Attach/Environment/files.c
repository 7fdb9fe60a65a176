/* Files in the span. */
#include "environment.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { size = 40 * page };

static int memory_file(size_t length) {
	int fd = memfd_create("test", MFD_CLOEXEC);
	expect(fd >= 0);
	for (size_t i = 0; i < length; i += 16) {
		char line[17];
		snprintf(line, sizeof line, "%016zx", i);
		expect_equal(pwrite(fd, line, 16, (off_t)i), 16);
	}
	return fd;
}

static void expect_contents(const char *memory, size_t from, size_t length) {
	for (size_t i = 0; i < length; i += 16) {
		char line[17];
		snprintf(line, sizeof line, "%016zx", from + i);
		if (memcmp(memory + i, line, 16) != 0) {
			expect_equal(i, -1);
			return;
		}
	}
}

static void *map(size_t length, int protection, int flags, int fd, off_t offset) {
	void *memory = mmap(NULL, length, protection, flags, fd, offset);
	if (memory == MAP_FAILED)
		expect_equal(errno, 0);
	return memory;
}

/* One that is mapped shared with tags is the same everywhere, until it is mapped nowhere; then the file has it. */
static void shared(void) {
	int fd = memory_file(size);
	char *first = map(size, read_write | PROT_MTE, MAP_SHARED, fd, 0);
	expect_contents(first, 0, size);
	char *second = map(size - 3 * page, read_write | PROT_MTE, MAP_SHARED, fd, 3 * page);
	expect_contents(second, 3 * page, size - 3 * page);
	char *plain = map(page, PROT_READ, MAP_SHARED, fd, 35 * page);
	expect_contents(plain, 35 * page, page);
	expect_equal(tagmem_get_tag(plain), -1);
	expect_equal(store_fault(plain, 1), SEGV_ACCERR);
	expect_equal(tagmem_set_tags(tagmem_with_tag(first + 35 * page, 7), page), 0);
	expect_equal(tagmem_get_tag(second + 32 * page), 7);
	strcpy(tagmem_with_tag(second + 32 * page, 7), "changed");
	expect_equal(strcmp(tagmem_with_tag(first + 35 * page, 7), "changed"), 0);
	expect_equal(strcmp(plain, "changed"), 0);
	/* A private one is a copy, with the tags. */
	char *copy = map(size, read_write | PROT_MTE, MAP_PRIVATE, fd, 0);
	expect_equal(tagmem_get_tag(copy + 35 * page), 7);
	expect_equal(tagmem_get_tag(copy + 36 * page), 0);
	expect_equal(strcmp(tagmem_with_tag(copy + 35 * page, 7), "changed"), 0);
	copy[0] = 'C';
	expect_equal(first[0], '0');
	/* A child shares it. */
	pid_t child = fork();
	if (child == 0) {
		strcpy(tagmem_with_tag(first + 35 * page, 7), "by the child");
		tagmem_set_tags(tagmem_with_tag(first, 9), page);
		copy[0] = 'D';
		_exit(0);
	}
	waitpid(child, NULL, 0);
	expect_equal(strcmp(plain, "by the child"), 0);
	expect_equal(tagmem_get_tag(first), 9);
	expect_equal(copy[0], 'C');
	char text[16];
	expect_equal(msync(first, size, MS_SYNC), 0);
	expect_equal(pread(fd, text, 13, 35 * page), 13);
	expect_equal(strcmp(text, "by the child"), 0);
	strcpy(tagmem_with_tag(first + 35 * page, 7), "at last");
	expect_equal(munmap(first, size), 0);
	expect_equal(munmap(second, size - 3 * page), 0);
	expect_equal(munmap(plain, page), 0);
	expect_equal(pread(fd, text, 8, 35 * page), 8);
	expect_equal(strcmp(text, "at last"), 0);
	/* It is as any file now: its tags are gone. */
	expect_equal(pwrite(fd, "written", 8, 35 * page), 8);
	first = map(size, read_write | PROT_MTE, MAP_SHARED, fd, 0);
	expect_equal(tagmem_get_tag(first + 35 * page), 0);
	expect_equal(strcmp(first + 35 * page, "written"), 0);
	struct stat status;
	expect_equal(fstat(fd, &status), 0);
	expect_equal(status.st_size, size);
	munmap(first, size);
	munmap(copy, size);
	close(fd);
}

static void errors(void) {
	int fd = memory_file(page), other = open("/proc/self/exe", O_RDONLY);
	expect_errno(mmap(NULL, page, PROT_READ | PROT_MTE, MAP_PRIVATE, other, 0), EINVAL);
	expect_errno(mmap(NULL, page, PROT_READ | PROT_MTE, MAP_SHARED, other, 0), EINVAL);
	expect_errno(mmap(NULL, page, PROT_READ | PROT_MTE, MAP_SHARED, -1, 0), EBADF);
	expect_errno(mmap(NULL, page, PROT_READ | PROT_MTE, MAP_SHARED, fd, 1), EINVAL);
	expect_errno(mmap(NULL, 0, PROT_READ | PROT_MTE, MAP_SHARED, fd, 0), EINVAL);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int readable = open(path, O_RDONLY);
	expect_errno(mmap(NULL, page, read_write | PROT_MTE, MAP_SHARED, readable, 0), EACCES);
	char *memory = map(page, read_write | PROT_MTE, MAP_PRIVATE, readable, 0);
	expect_contents(memory, 0, page);
	munmap(memory, page);
	/* A file that is not in the span cannot have tags. */
	memory = map(page, PROT_READ, MAP_PRIVATE, other, 0);
	expect_errno(mprotect(memory, page, PROT_READ | PROT_MTE), EINVAL);
	munmap(memory, page);
	close(fd);
	close(other);
	close(readable);
}

/* Files at addresses of anonymous memory, as loaders map them. */
static void fixed(void) {
	int fd = memory_file(4 * page);
	char *memory = map(8 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 'x', 8 * page);
	char *at = mmap(memory + page, 2 * page, read_write, MAP_PRIVATE | MAP_FIXED, fd, page);
	expect(at == memory + page);
	expect_contents(at, page, 2 * page);
	expect_equal(memory[page - 1], 'x');
	expect_equal(memory[3 * page], 'x');
	at[0] = 'P';
	char byte;
	expect_equal(pread(fd, &byte, 1, page), 1);
	expect_equal(byte, '0');
	at = mmap(memory + 4 * page, 2 * page, read_write, MAP_SHARED | MAP_FIXED, fd, 0);
	expect(at == memory + 4 * page);
	expect_contents(at, 0, 2 * page);
	/* Any alias is the file. */
	((char *)tagmem_with_tag(at, 3))[5] = 'S';
	expect_equal(pread(fd, &byte, 1, 5), 1);
	expect_equal(byte, 'S');
	expect_errno(mprotect(at, page, read_write | PROT_MTE), EINVAL);
	expect_equal(mprotect(at, page, PROT_READ), 0);
	expect_equal(store_fault(at, 1), SEGV_ACCERR);
	expect_equal(store_fault(at + page, 1), 0);
	pid_t child = fork();
	if (child == 0) {
		((char *)at)[page + 1] = 'K';
		memory[6 * page] = 'K';
		_exit(memory[page] == 'P' && memory[7 * page] == 'x' ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	expect_equal(status, 0);
	expect_equal(at[page + 1], 'K');
	expect_equal(memory[6 * page], 'x');
	expect_equal(munmap(at, 2 * page), 0);
	expect_equal(load_fault(at), SEGV_MAPERR);
	/* The span's memory is there again. */
	expect(mmap(at, 2 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	expect_equal(at[5], 0);
	expect_equal(tagmem_get_tag(at), 0);
	expect_equal(tagmem_set_tags(tagmem_with_tag(at, 4), 2 * page), 0);
	((char *)tagmem_with_tag(at, 4))[5] = 'm';
	expect_equal(at[5], 'm');
	expect_equal(pread(fd, &byte, 1, 5), 1);
	expect_equal(byte, 'S');
	munmap(memory, 8 * page);
	close(fd);
}

/* Those of tmpfs that are mapped without tags are the file, and can get tags. */
static void later(void) {
	int fd = memory_file(size);
	char byte;
	char *first = map(size, read_write, MAP_SHARED, fd, 0), *second = map(2 * page, PROT_READ, MAP_SHARED, fd, 33 * page);
	/* Other memory does not get into the blocks of it. */
	char *between = map(page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(tagmem_get_tag(first), -1);
	first[33 * page] = 'F';
	expect_equal(pread(fd, &byte, 1, 33 * page), 1);
	expect_equal(byte, 'F');
	expect_equal(pwrite(fd, "W", 1, 34 * page), 1);
	expect_equal(second[page], 'W');
	expect_equal(munmap(first + 2 * page, page), 0);
	expect_equal(mprotect(first + page, page, PROT_READ), 0);
	expect_equal(mprotect(first + 32 * page, 2 * page, read_write | PROT_MTE), 0);
	expect_equal(tagmem_get_tag(first + 31 * page), -1);
	expect_equal(tagmem_get_tag(first + 32 * page), 0);
	expect_equal(tagmem_get_tag(first + 34 * page), -1);
	expect_equal(tagmem_get_tag(second), -1);
	expect_equal(first[33 * page], 'F');
	expect_equal(second[page], 'W');
	expect_equal(load_fault(first + page), 0);
	expect_equal(store_fault(first + page, 1), SEGV_ACCERR);
	expect_equal(store_fault(second, 1), SEGV_ACCERR);
	expect_equal(load_fault(first + 2 * page), SEGV_MAPERR);
	expect_contents(first + 3 * page, 3 * page, 30 * page);
	expect_equal(tagmem_set_tags(tagmem_with_tag(first + 33 * page, 5), 16), 0);
	((char *)tagmem_with_tag(first + 33 * page, 5))[1] = 'T';
	expect_equal(second[1], 'T');
	expect_equal(msync(first, page, MS_SYNC), 0);
	expect_equal(pread(fd, &byte, 1, 33 * page + 1), 1);
	expect_equal(byte, 'T');
	expect_equal(munmap(first, size), 0);
	expect_equal(munmap(second, 2 * page), 0);
	expect_equal(munmap(between, page), 0);
	/* A private one is a copy. */
	char *copy = map(4 * page, read_write, MAP_PRIVATE, fd, 4 * page);
	expect_contents(copy, 4 * page, 4 * page);
	expect_equal(tagmem_get_tag(copy), -1);
	expect_equal(mprotect(copy + page, page, read_write | PROT_MTE), 0);
	expect_equal(tagmem_get_tag(copy + page), 0);
	expect_equal(tagmem_get_tag(copy), -1);
	copy[page] = 'C';
	expect_equal(pread(fd, &byte, 1, 5 * page), 1);
	expect_equal(byte, '0');
	munmap(copy, 4 * page);
	/* It grows with the file. */
	first = map(2 * page, read_write, MAP_SHARED, fd, 3 * page);
	char *grown = mremap(first, 2 * page, size - 3 * page, MREMAP_MAYMOVE);
	expect(grown != MAP_FAILED);
	expect_contents(grown, 3 * page, page);
	grown[page] = 'G';
	expect_equal(pread(fd, &byte, 1, 4 * page), 1);
	expect_equal(byte, 'G');
	expect_equal(mprotect(grown, page, read_write | PROT_MTE), 0);
	expect_equal(tagmem_get_tag(grown), 0);
	expect_equal(grown[page], 'G');
	munmap(grown, size - 3 * page);
	close(fd);
}

/* Mappings that come and go leave no descriptors behind; of very many only some can get tags. */
static void many(void) {
	enum { most = 200 };
	char *memory[most];
	int fd = memory_file(page), free = fcntl(fd, F_DUPFD, 256);
	close(free);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < most; i++) {
			memory[i] = map(page, read_write, MAP_SHARED, fd, 0);
			memory[i][0] = (char)i;
			expect_equal(memory[0][0], (char)i);
		}
		expect_equal(mprotect(memory[0], page, read_write | PROT_MTE), 0);
		expect_equal(tagmem_get_tag(memory[0]), 0);
		for (int i = 0; i < most; i++)
			expect_equal(munmap(memory[i], page), 0);
	}
	expect_equal(fcntl(fd, F_DUPFD, 256), free);
	close(free);
	close(fd);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	shared();
	errors();
	fixed();
	later();
	many();
	return finish();
}
