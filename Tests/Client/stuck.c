/// `stuck`: a writer whose buffer does not come holds up nobody else.
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/// How long a write that nothing stands in the way of may take, in seconds: far more than it does.
static const double longest_write = 5;

struct writer {
    int fd;
    const void *bytes;
    off_t offset;
    atomic_bool is_done;
};

static void *write_page(void *argument) {
    struct writer *writer = argument;
    write_exactly(writer->fd, writer->bytes, page_size, writer->offset, "a page");
    writer->is_done = true;
    return NULL;
}

static void start(pthread_t *thread, struct writer *writer) {
    if (pthread_create(thread, NULL, write_page, writer) != 0)
        fail("no thread");
}

static bool is_done_in_time(const struct writer *writer) {
    for (double end = seconds_now() + longest_write; !writer->is_done && seconds_now() < end;)
        sleep_seconds(0.001);
    return writer->is_done;
}

/// A page that whoever touches it waits for until `fill` is called.
static void *make_missing_page(int *faults) {
    *faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (*faults < 0)
        fail_errno("userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    void *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register area = {
        .range = {.start = (uintptr_t)page, .len = page_size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (page == MAP_FAILED || ioctl(*faults, UFFDIO_API, &api) != 0 || ioctl(*faults, UFFDIO_REGISTER, &area) != 0)
        fail_errno("userfaultfd");
    return page;
}

static void fill(int faults, void *page, const void *bytes) {
    struct uffdio_copy copy = {.dst = (uintptr_t)page, .src = (uintptr_t)bytes, .len = page_size};
    if (ioctl(faults, UFFDIO_COPY, &copy) != 0)
        fail_errno("UFFDIO_COPY");
}

/// One write to a file that is stuck, and then others: to the same file and to another one.
static void stick(const char *directory, const char *name, const char *other_name) {
    step("a write to %s whose buffer does not come", name);
    static uint8_t bytes[2][page_size];
    memset(bytes[0], 0x11, page_size);
    memset(bytes[1], 0x22, page_size);
    int fd = open_file(directory, name, O_RDWR), faults;
    void *missing = make_missing_page(&faults);
    struct writer stuck = {.fd = fd, .bytes = missing, .offset = 0};
    pthread_t stuck_thread;
    start(&stuck_thread, &stuck);
    struct pollfd request = {.fd = faults, .events = POLLIN};
    if (poll(&request, 1, (int)longest_write * 1000) != 1)
        fail("the write does not ask for its buffer");
    struct writer others[] = {
        {.fd = fd, .bytes = bytes[1], .offset = page_size},
        {.fd = open_file(directory, name, O_RDWR), .bytes = bytes[1], .offset = 2 * page_size},
        {.fd = open_file(directory, other_name, O_RDWR), .bytes = bytes[1], .offset = 0},
    };
    enum { count = sizeof others / sizeof *others };
    pthread_t threads[count];
    unsigned waiting = 0;
    for (int i = 0; i < count; i++) {
        start(&threads[i], &others[i]);
        if (!is_done_in_time(&others[i]))
            waiting++;
    }
    if (stuck.is_done)
        fail("it is done");
    // Its buffer comes.
    fill(faults, missing, bytes[0]);
    pthread_join(stuck_thread, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (waiting != 0)
        fail("%u of %d other writes wait for it", waiting, count);
    for (int page = 0; page < 3; page++) {
        uint8_t found[page_size];
        read_exactly(fd, found, page_size, page * page_size, "what was written");
        expect_equal(found, bytes[page != 0], page_size, "what was written");
    }
    close(faults);
}

int stuck_main(int count, char **arguments) {
    if (count != 1)
        usage();
    int mem = make_object(arguments[0], "tagged/stuck");
    if (ftruncate(mem, 4 * page_size) != 0)
        fail_errno("ftruncate");
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/tagged/stuck", arguments[0]);
    stick(directory, "views/0", "mem");
    stick(directory, "mem", "views/0");
    printf("ok stuck\n");
    return 0;
}
