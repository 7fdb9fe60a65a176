// attached WORKLOAD DIRECTORY: what is not a program's own business: attachments, views, traps and ioctls of an object.
// Runs for a fraction of a second and prints the median time of the operation in nanoseconds.
//
//     attached memory-loads -       the baseline of the views: ordinary memory

#define _GNU_SOURCE
#include "../client/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <tagmem.h>
#include <unistd.h>

enum { tag = 5, other_tag = 9 };

#define SIZE (256 * KIB)
#define WORDS (SIZE / sizeof(uint64_t))

static const char *directory;

static char *attach(unsigned flags)
{
    char *base = tagmem_attach(directory, flags);
    if (!base)
        fail("%s", directory);
    return base;
}

// MARK: Accesses that the processor checks by itself

static uint64_t sum;

static void access_memory(volatile uint64_t *memory, int stores)
{
    memset((void *)memory, 1, SIZE);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (size_t i = 0; i < WORDS; i++) {
            if (stores)
                memory[i] = i;
            else
                sum += memory[i];
        }
        samples_add(&samples, (double)(now_ns() - start) / WORDS);
    }
    samples_report(&samples);
}

static void access_ordinary(int stores)
{
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    access_memory(memory, stores);
}

// Pages of one tag, through the view of that tag.
static void access_view(int stores)
{
    char *base = attach(TAGMEM_VIEWS);
    char *memory = tagmem_with_tag(base, tag);
    if (tagmem_resize(base, SIZE) != 0 || tagmem_set_tags(memory, SIZE) != 0)
        fail("%s", directory);
    access_memory((volatile uint64_t *)memory, stores);
    tagmem_detach(base);
}

static void memory_loads(void) { access_ordinary(0); }
static void memory_stores(void) { access_ordinary(1); }
static void view_loads(void) { access_view(0); }
static void view_stores(void) { access_view(1); }

// MARK: An access that is completed by the trap: to a page that is closed, as it has several tags

static void work(void)
{
    for (int i = 0; i < 200; i++)
        __asm__ volatile("");
}

static void access_trapped(int apart)
{
    enum { batch = 256 };
    char *base = attach(TAGMEM_VIEWS);
    volatile char *memory = tagmem_with_tag(base, tag);
    if (tagmem_resize(base, SIZE) != 0 || tagmem_set_tags((char *)memory, PAGE) != 0 ||
        tagmem_set_tags(tagmem_with_tag(base + 64, other_tag), 64) != 0)
        fail("%s", directory);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (size_t i = 0; i < batch; i++) {
            sum += *(volatile uint64_t *)(memory + 1024 + i * 8);
            // Accesses that follow each other are done in one trap.
            if (apart)
                work();
        }
        samples_add(&samples, (double)(now_ns() - start) / batch);
    }
    samples_report(&samples);
    tagmem_detach(base);
}

static void trap(void) { access_trapped(1); }
static void trap_in_a_row(void) { access_trapped(0); }

// MARK: Requests

static void attach_and_detach(void)
{
    char *first = attach(0);
    if (tagmem_resize(first, 1 << 30) != 0)
        fail("%s", directory);
    tagmem_detach(first);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        char *base = attach(0);
        samples_add(&samples, (double)(now_ns() - start));
        tagmem_detach(base);
    }
    samples_report(&samples);
}

static int open_file(const char *name)
{
    int object = open(directory, O_PATH | O_DIRECTORY), file = openat(object, name, O_RDWR);
    // Anew, so that its tags are 0.
    if (file < 0 || ftruncate(file, 0) != 0 || ftruncate(file, 1 << 20) != 0)
        fail("%s/%s", directory, name);
    close(object);
    return file;
}

static long read_128(int file)
{
    char buffer[128];
    return pread(file, buffer, sizeof buffer, 4096) - (long)sizeof buffer;
}

static long access_8(int file)
{
    struct tagmem_access access = {.address = 4096, .size = 8};
    return ioctl(file, TAGMEM_ACCESS, &access);
}

static long get_tags(int file)
{
    struct tagmem_tags tags = {.address = 4096, .count = 8};
    return ioctl(file, TAGMEM_GET_TAGS, &tags);
}

static void requests(const char *name, long (*request)(int))
{
    enum { batch = 16 };
    int file = open_file(name);
    struct samples samples = samples_start();
    while (samples_wanted(&samples)) {
        uint64_t start = now_ns();
        for (int i = 0; i < batch; i++) {
            if (request(file) != 0)
                fail("a request");
        }
        samples_add(&samples, (double)(now_ns() - start) / batch);
    }
    samples_report(&samples);
    close(file);
}

static void requests_read(void) { requests("mem", read_128); }
static void requests_access(void) { requests("mem", access_8); }
static void requests_tags(void) { requests("mem", get_tags); }

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"memory-loads", memory_loads}, {"memory-stores", memory_stores}, {"view-loads", view_loads},
    {"view-stores", view_stores},   {"trap", trap},                   {"trap-row", trap_in_a_row},
    {"attach", attach_and_detach},  {"read", requests_read},          {"access", requests_access},
    {"get-tags", requests_tags},
};

int main(int argc, char **argv)
{
    alarm(30);
    for (size_t i = 0; argc == 3 && i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(argv[1], workloads[i].name) == 0) {
            directory = argv[2];
            workloads[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: attached WORKLOAD DIRECTORY\n");
    return 2;
}
