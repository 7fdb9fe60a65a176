/* System calls on buffers with other tags than their pointers: EFAULT or a short count, never a signal. */
#include "environment.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

enum { length = 64 };

static char *memory, *tagged, *other; /* a page; with its tag; with another */
static int file;
static volatile int faults, last_code;

static void count_fault(int number, siginfo_t *info, void *context) {
	(void)number, (void)context;
	faults++;
	last_code = info->si_code;
	if (faults > 20)
		_exit(9);
}

static void set_mode(unsigned long control) {
	expect_equal(prctl(PR_SET_TAGGED_ADDR_CTRL, control | 0xfffful << 3, 0, 0, 0), 0);
	struct sigaction action = {.sa_sigaction = count_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	faults = 0;
}

static void reset(void) {
	char bytes[page];
	memset(bytes, 'f', page);
	expect_equal(pwrite(file, bytes, page, 0), page);
	tagmem_set_tags(memory, page);
	memset(memory, 'x', page);
	tagmem_set_tags(tagged, page);
}

static void expect_bytes(const char *bytes, size_t size, char byte) {
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != byte) {
			expect_equal(bytes[i], byte);
			expect_equal(i, -1);
			return;
		}
	}
}

static void accepted(char *pointer) {
	reset();
	expect_equal(pread(file, pointer, length, 0), length);
	expect_bytes(tagged, length, 'f');
	expect_equal(tagged[length], 'x');
	memset(tagged, 'y', length);
	expect_equal(pwrite(file, pointer, length, 0), length);
	char bytes[length];
	expect_equal(pread(file, bytes, length, 0), length);
	expect_bytes(bytes, length, 'y');
	int ends[2];
	expect_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	expect_equal(send(ends[0], pointer, length, 0), length);
	expect_equal(recv(ends[1], pointer + 128, length, 0), length);
	expect_bytes(tagged + 128, length, 'y');
	close(ends[0]);
	close(ends[1]);
	expect_equal(faults, 0);
}

static void refused(void) {
	reset();
	expect_errno(pread(file, other, length, 0), EFAULT);
	expect_errno(pwrite(file, other, length, 0), EFAULT);
	expect_errno(read(file, other, length), EFAULT);
	expect_errno(write(file, other, length), EFAULT);
	struct iovec vector = {other, length};
	expect_errno(preadv(file, &vector, 1, 0), EFAULT);
	expect_errno(pwritev(file, &vector, 1, 0), EFAULT);
	expect_errno(readv(file, &vector, 1), EFAULT);
	expect_errno(writev(file, &vector, 1), EFAULT);
	expect_errno(getrandom(other, length, 0), EFAULT);
	/* What else is wrong is said first. */
	expect_errno(read(-1, other, length), EBADF);
	expect_equal(pread(file, other, 0, 0), 0);
	expect_equal(pread(file, other, length, 100 * page), 0);
	int ends[2];
	expect_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	expect_errno(send(ends[0], other, length, 0), EFAULT);
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
	expect_errno(sendmsg(ends[0], &message, 0), EFAULT);
	expect_equal(send(ends[0], tagged, length, 0), length);
	expect_errno(recv(ends[1], other, length, 0), EFAULT);
	expect_errno(recvmsg(ends[1], &message, 0), EFAULT);
	expect_equal(recv(ends[1], tagged, length, 0), length);
	close(ends[0]);
	close(ends[1]);
	struct stat *status = (void *)other;
	expect_errno(fstat(file, status), EFAULT);
	expect_errno(pipe((int *)other), EFAULT);
	expect_errno(poll((void *)other, 1, 0), EFAULT);
	expect_errno(open(other, O_RDONLY), EFAULT);
	expect_errno(syscall(SYS_read, file, other, length), EFAULT);
	tagmem_set_tags(memory, page);
	expect_bytes(memory, page, 'x');
	tagmem_set_tags(tagged, page);
	char bytes[length];
	expect_equal(pread(file, bytes, length, 0), length);
	expect_bytes(bytes, length, 'f');
	expect_equal(faults, 0);
}

/* Up to the first granule with another tag. */
static void partly(void) {
	for (size_t good = 16; good < length; good += 16) {
		reset();
		tagmem_set_tags(tagmem_with_tag(memory + good, 6), page - good);
		expect_equal(pread(file, tagged + 3, length, 0), good - 3);
		expect_equal(pwrite(file, tagged + 3, length, 8), good - 3);
		int ends[2];
		expect_equal(pipe(ends), 0);
		expect_equal(write(ends[1], tagged, length), good);
		struct iovec vector[] = {{tagged, 8}, {tagged + 8, length}, {tagged, 8}};
		expect_equal(writev(ends[1], vector, 3), good);
		char bytes[2 * length];
		expect_equal(read(ends[0], bytes, 2 * length), 2 * good);
		struct iovec second_bad[] = {{tagged, 8}, {other, length}};
		expect_equal(writev(ends[1], second_bad, 2), 8);
		close(ends[0]);
		close(ends[1]);
		/* A datagram is sent as a whole or not at all. */
		expect_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
		expect_errno(send(ends[0], tagged, length, 0), EFAULT);
		expect_equal(send(ends[0], tagged, good, MSG_DONTWAIT), good);
		close(ends[0]);
		close(ends[1]);
		tagmem_set_tags(memory, page);
		expect_bytes(memory + good, page - good, 'x');
		expect_bytes(memory + 3, good - 3, 'f');
	}
	expect_equal(faults, 0);
}

/* What is not mapped, or not to be written, is as it is to the kernel. */
static void protections(void) {
	set_mode(1);
	char *two = mmap(NULL, 2 * page, read_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(mprotect(two + page, page, PROT_READ), 0);
	expect_equal(pread(file, two + page - 10, 20, 0), 10);
	expect_errno(pread(file, two + page, 20, 0), EFAULT);
	expect_equal(pwrite(file, two + page - 10, 20, 0), 20);
	expect_equal(munmap(two + page, page), 0);
	expect_equal(pwrite(file, two + page - 10, 20, 0), 10);
	expect_errno(pwrite(file, two + page, 20, 0), EFAULT);
	munmap(two, page);
	expect_equal(faults, 0);
}

/* Structs, strings and vectors in tagged memory, on a page with several tags. */
static void in_memory(void) {
	set_mode(1 | 2);
	reset();
	tagmem_set_tags(tagmem_with_tag(memory + 2048, 9), 2048);
	char *path = tagged;
	strcpy(path, "/tmp/tagmem-XXXXXX");
	snprintf(path, 64, "/tmp/tagmem-%d", (int)getpid());
	char *moved = tagged + 512;
	snprintf(moved, 64, "/tmp/tagmem-%d-moved", (int)getpid());
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	expect(fd >= 0);
	close(fd);
	struct stat *status = (void *)(tagged + 1024);
	expect_equal(stat(path, status), 0);
	expect_equal(status->st_mode, S_IFREG | 0600);
	expect_equal(access(path, R_OK), 0);
	expect_equal(chmod(path, 0640), 0);
	expect_equal(rename(path, moved), 0);
	expect_errno(access(path, R_OK), ENOENT);
	expect_equal(truncate(moved, 5), 0);
	expect_equal(lstat(moved, status), 0);
	expect_equal(status->st_size, 5);
	expect_equal(symlink(moved, path), 0);
	char *name = tagged + 256;
	expect_equal(readlink(path, name, 100), strlen(moved));
	expect_equal(memcmp(name, moved, strlen(moved)), 0);
	expect_equal(unlink(path), 0);
	expect_equal(remove(moved), 0);
	expect(getcwd(name, 200) == name);
	int *ends = (void *)(tagged + 128);
	expect_equal(pipe(ends), 0);
	struct pollfd *polled = (void *)(tagged + 160);
	*polled = (struct pollfd){.fd = ends[0], .events = POLLIN};
	expect_equal(poll(polled, 1, 0), 0);
	struct iovec *vector = (void *)(tagged + 768);
	strcpy(name, "in two pieces");
	vector[0] = (struct iovec){name, 7};
	vector[1] = (struct iovec){name + 7, 6};
	expect_equal(writev(ends[1], vector, 2), 13);
	expect_equal(poll(polled, 1, 0), 1);
	expect_equal(polled->revents, POLLIN);
	memset(name, 0, 32);
	expect_equal(readv(ends[0], vector, 2), 13);
	expect_equal(strcmp(name, "in two pieces"), 0);
	int epoll = epoll_create1(0);
	struct epoll_event *event = (void *)(tagged + 896);
	*event = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 77};
	expect_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], event), 0);
	event->data.u64 = 0;
	expect_equal(epoll_wait(epoll, event, 1, 0), 1);
	expect_equal(event->data.u64, 77);
	close(ends[0]);
	close(ends[1]);
	close(epoll);
	/* Large enough that libc hands it on. */
	char *large = mmap(NULL, 16 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 16; i++)
		tagmem_set_tags(tagmem_with_tag(large + i * page, 3), page / 2);
	FILE *stream = fdopen(dup(file), "w+");
	for (int i = 0; i < 16; i++) {
		char *half = tagmem_with_tag(large + i * page, 3);
		memset(half, 'h', page / 2);
		expect_equal(fwrite(half, 1, page / 2, stream), page / 2);
	}
	expect_equal(fflush(stream), 0);
	rewind(stream);
	char *whole = mmap(NULL, 8 * page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect_equal(fread(whole, 1, 8 * page, stream), 8 * page);
	expect_bytes(whole, 8 * page, 'h');
	rewind(stream);
	tagmem_set_tags(tagmem_with_tag(large, 4), 2 * page);
	tagmem_set_tags(tagmem_with_tag(large + 2 * page, 3), page);
	expect_equal(fread(tagmem_with_tag(large, 4), 2 * page, 1, stream), 1);
	expect_bytes(tagmem_with_tag(large, 4), 2 * page, 'h');
	fclose(stream);
	munmap(large, 16 * page);
	munmap(whole, 8 * page);
	struct timespec *pause = (void *)(tagged + 400);
	*pause = (struct timespec){0, 1000};
	expect_equal(nanosleep(pause, pause), 0);
	/* Arguments of a program. */
	char **arguments = (void *)(tagged + 1536);
	strcpy(name, "sh");
	strcpy(name + 16, "-c");
	strcpy(name + 32, "exit 7");
	arguments[0] = name, arguments[1] = name + 16, arguments[2] = name + 32, arguments[3] = NULL;
	pid_t child = fork();
	if (child == 0) {
		execvp(name, arguments);
		_exit(1);
	}
	int *ended = (void *)(tagged + 420);
	expect_equal(waitpid(child, ended, 0), child);
	expect_equal(*ended, 7 << 8);
	expect_equal(faults, 0);
}

/* A fault that waits is told at a call. */
static void deferred(void) {
	set_mode(1 | 4);
	reset();
	expect_equal(pread(file, other, length, 0), length);
	expect_equal(pwrite(file, other, length, 0), length);
	expect_equal(faults, 0);
}

int main(int count, char **arguments) {
	begin(count, arguments);
	file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	memory = mmap(NULL, page, read_write | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tagged = tagmem_with_tag(memory, 5);
	other = tagmem_with_tag(memory, 6);
	/* Without the tagged address ABI pointers with tags are refused. */
	set_mode(0);
	reset();
	expect_errno(pread(file, tagged, length, 0), EFAULT);
	expect_errno(pwrite(file, tagged, length, 0), EFAULT);
	expect_equal(pread(file, memory, length, 0), length);
	expect_bytes(other, length, 'f');
	set_mode(1 | 2);
	accepted(tagged);
	refused();
	partly();
	/* A pointer with its tag in bits 59:56. */
	accepted((char *)((uintptr_t)memory | (uintptr_t)5 << 56));
	set_mode(1);
	accepted(other);
	set_mode(1 | 4);
	accepted(other);
	/* Loads are not checked. */
	set_mode(1 | 2 | 1ul << 19);
	reset();
	expect_equal(pwrite(file, other, length, 0), length);
	expect_errno(pread(file, other, length, 0), EFAULT);
	protections();
	in_memory();
	deferred();
	return finish();
}
