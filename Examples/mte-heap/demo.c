// Four bugs, and how a tagged heap catches them.
//
//     demo [BUG]      use-after-free, one-past-the-end, double-free or wild-read; all of them without BUG
//
// Prints a line for each: what the program did, and the fault that it got. The status is 0 if all were caught.
#include "heap.h"

#include <arm_acle.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

static sigjmp_buf before_bug;
static volatile int code;
static char *volatile fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    code = info->si_code;
    fault = info->si_addr;
    siglongjmp(before_bug, 1);
}

static int tag_of(void *pointer) { return __builtin_ctzll(__arm_mte_exclude_tag(pointer, 0)); }

static volatile char sink;

static void use_after_free(char *block) {
    heap_free(block);
    block[5] = 'x';
}

static void one_past_the_end(char *block) { block[heap_usable_size(block)] = 'x'; }

static void double_free(char *block) {
    heap_free(block);
    heap_free(block);
}

static void wild_read(char *block) {
    // With all tags excluded it is 0: that of an address that was never a pointer to something.
    block = __arm_mte_create_random_tag(block, 0xffff);
    sink = block[20];
}

static const struct {
    const char *name;
    void (*run)(char *block);
} bugs[] = {
    {"use-after-free", use_after_free},
    {"one-past-the-end", one_past_the_end},
    {"double-free", double_free},
    {"wild-read", wild_read},
};

static int catch(const char *name, void (*run)(char *)) {
    char *volatile block = heap_malloc(48);
    if (!block) {
        perror("heap_malloc");
        return 0;
    }
    memset(block, 'a', 48);
    printf("%-17s block of 48 bytes with tag %2d: ", name, tag_of(block));
    fflush(stdout);
    if (sigsetjmp(before_bug, 1) == 0) {
        run(block);
        printf("not caught\n");
        return 0;
    }
    printf("%s at block%+d, pointer tag %d, memory tag %d\n", code == SEGV_MTESERR ? "SEGV_MTESERR" : "SIGSEGV",
           (int)__arm_mte_ptrdiff(fault, (char *)block), tag_of(fault), tag_of(__arm_mte_get_tag(fault)));
    return code == SEGV_MTESERR;
}

int main(int count, char **arguments) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_EXPOSE_TAGBITS};
    sigaction(SIGSEGV, &action, NULL);
    int caught = 0, wanted = 0;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        if (count > 1 && strcmp(arguments[1], bugs[i].name) != 0)
            continue;
        wanted++;
        caught += catch(bugs[i].name, bugs[i].run);
    }
    return wanted > 0 && caught == wanted ? 0 : 1;
}
