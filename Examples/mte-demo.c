// Waits at a tagged buffer for somebody to change its bytes or its tags: a program for a guest.
//
// Prints where the buffer is in physical memory, so that its bytes and tags can be poked from outside of the guest: the
// program prints what it then loads, and for a tag that is not its pointer's where the fault was.
#include <arm_acle.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

enum { page_size = 4096, granule_size = 16, buffer_size = 4 * page_size, text_size = 64 };

static sigjmp_buf before_load;
static volatile uintptr_t fault_address;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_code != SEGV_MTESERR)
        _exit(1);
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(before_load, 1);
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

// The kernel tells it to root alone.
static uint64_t physical_address(const void *pointer) {
    uintptr_t address = (uintptr_t)pointer & (UINTPTR_MAX >> 8);
    uint64_t entry = 0;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    off_t offset = (off_t)(address / page_size * sizeof entry);
    if (pagemap < 0 || pread(pagemap, &entry, sizeof entry, offset) != sizeof entry)
        fail("/proc/self/pagemap");
    close(pagemap);
    return (entry & ((1ULL << 55) - 1)) * page_size + address % page_size;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    // Loads and stores are checked, and all tags but 0 are to be had from IRG.
    unsigned long mode = PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xfffeUL << PR_MTE_TAG_SHIFT;
    if (prctl(PR_SET_TAGGED_ADDR_CTRL, mode, 0, 0, 0) != 0)
        fail("prctl");
    char *buffer = mmap(NULL, buffer_size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        fail("mmap");
    if (mlock(buffer, buffer_size) != 0)
        fail("mlock");
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_EXPOSE_TAGBITS};
    sigaction(SIGSEGV, &action, NULL);

    buffer = __arm_mte_create_random_tag(buffer, 0);
    for (size_t i = 0; i < buffer_size; i += granule_size)
        __arm_mte_set_tag(buffer + i);
    for (size_t i = 0; i < buffer_size; i += text_size)
        snprintf(buffer + i, text_size, "The quick brown fox jumps over the lazy dog, at 0x%08zx", i);
    static char known[buffer_size];
    memcpy(known, buffer, buffer_size);
    // From here on somebody may change the tags: the buffer is loaded from where a fault is expected alone.
    printf("pointer %p, tag %x\n", (void *)buffer, (unsigned)((uintptr_t)buffer >> 56 & 15));
    for (size_t i = 0; i < buffer_size; i += page_size)
        printf("page %zu is at physical address 0x%llx\n", i / page_size,
               (unsigned long long)physical_address(buffer + i));

    volatile uintptr_t reported = 0;
    for (;; sleep(1)) {
        if (sigsetjmp(before_load, 1) != 0) {
            if (fault_address != reported)
                printf("SIGSEGV, SEGV_MTESERR at %p: somebody changed the tag\n", (void *)fault_address);
            reported = fault_address;
            continue;
        }
        for (size_t i = 0; i < buffer_size; i += text_size) {
            if (memcmp(known + i, buffer + i, text_size) == 0)
                continue;
            memcpy(known + i, buffer + i, text_size);
            printf("the bytes at %p are now \"%.*s\"\n", (void *)(buffer + i), text_size, known + i);
        }
        if (reported != 0)
            printf("the tags fit again\n");
        reported = 0;
    }
}
