#include "clauses.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// MARK: Reporting

_Noreturn void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    printf("\n");
    exit(1);
}

_Noreturn void fail_errno(const char *format, ...) {
    int error = errno;
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    printf(": %s\n", strerror(error));
    exit(1);
}

// MARK: Memory

void *map(size_t size, int protection, int flags, int fd) {
    void *pointer = mmap(NULL, size, protection, flags, fd, 0);
    if (pointer == MAP_FAILED)
        fail_errno("mmap, protection %#x, flags %#x", protection, flags);
    return pointer;
}

void *map_tagged(size_t pages) {
    return map(pages * page_size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

int file_on(const char *file_system, size_t size) {
    char directory[] = "/tmp/XXXXXX", path[32];
    if (mkdtemp(directory) == NULL || mount(file_system, directory, file_system, 0, NULL) != 0)
        fail_errno("no %s", file_system);
    snprintf(path, sizeof path, "%s/file", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        fail_errno("%s", path);
    unlink(path);
    umount2(directory, MNT_DETACH);
    rmdir(directory);
    return fd;
}

void expect_tags(const void *pointer, size_t size, unsigned tag) {
    const char *bytes = pointer;
    for (size_t i = 0; i < size; i += granule_size) {
        if (memory_tag(bytes + i) != tag)
            fail("granule %zu has tag %x, not %x", i / granule_size, memory_tag(bytes + i), tag);
    }
}

#ifdef __aarch64__

bool is_tagged_mapping(const void *pointer) {
    uintptr_t address = (uintptr_t)with_tag(pointer, 0);
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL)
        fail_errno("smaps");
    char line[512];
    bool here = false, tagged = false, found = false;
    while (fgets(line, sizeof line, smaps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = address >= start && address < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            found = true;
            tagged = strstr(line, " mt") != NULL;
        }
    }
    fclose(smaps);
    if (!found)
        fail("no mapping at %p", pointer);
    return tagged;
}

#else

bool is_tagged_mapping(const void *pointer) {
    return tagmem_get_tag(pointer) >= 0;
}

#endif

// MARK: Faults

volatile struct fault fault;
static _Thread_local sigjmp_buf before_access;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fault.code = info->si_code;
    fault.count++;
    fault.address = (uintptr_t)info->si_addr;
    fault.thread = gettid();
    if (info->si_code != SEGV_MTEAERR)
        siglongjmp(before_access, 1);
}

void catch_faults(int flags) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};
    if (sigaction(SIGSEGV, &action, NULL) != 0)
        fail_errno("sigaction");
}

/// One access, which the compiler neither splits nor leaves out.
#define guarded(access)                                                                                                \
    do {                                                                                                               \
        fault = (struct fault){0};                                                                                     \
        if (sigsetjmp(before_access, 1) == 0) {                                                                        \
            access;                                                                                                    \
            syscall(SYS_getpid);                                                                                       \
        }                                                                                                              \
        return fault.code;                                                                                             \
    } while (0)

int load_fault(const void *pointer) {
    guarded((void)*(const volatile uint8_t *)pointer);
}

int store_fault(void *pointer, uint8_t value) {
    guarded(*(volatile uint8_t *)pointer = value);
}

int load_word_fault(const void *pointer, uint64_t *value) {
    guarded(*value = load_word(pointer));
}

int store_word_fault(void *pointer, uint64_t value) {
    guarded(store_word(pointer, value));
}

void enter(unsigned long modes, unsigned long included) {
    if (set_mode(modes, included) != 0)
        fail_errno("PR_SET_TAGGED_ADDR_CTRL, modes %#lx", modes);
}

// MARK: Processes

int status_of_child(void (*function)(void *), void *argument) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        function(argument);
        exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        fail_errno("no child");
    return status;
}

void in_child(void (*function)(void *), void *argument) {
    int status = status_of_child(function, argument);
    if (status != 0)
        fail("the child ended with status %#x", (unsigned)status);
}

struct call {
    void (*function)(void *);
    void *argument;
};

static void *run(void *call) {
    ((struct call *)call)->function(((struct call *)call)->argument);
    return NULL;
}

void in_thread(void (*function)(void *), void *argument) {
    struct call call = {function, argument};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &call) != 0 || pthread_join(thread, NULL) != 0)
        fail("no thread");
}
