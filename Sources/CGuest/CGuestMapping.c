#define _GNU_SOURCE
#include "CGuest.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

// A system call in another process: it is stopped where it waits in one of its own, whose instruction is run once more
// with other registers. Then it has its registers back, and the kernel begins its own call anew, as after a signal.

#if defined __x86_64__

typedef struct user_regs_struct registers;

// Where the instruction is that has brought the process into the kernel; 0 if it is not there by a system call.
static uint64_t call_address(const registers *own) { return (int64_t)own->orig_rax >= 0 ? own->rip - 2 : 0; }

static bool is_call(long word) { return (word & 0xffff) == 0x050f; }

static registers call(registers own, uint64_t at, const uint64_t arguments[6]) {
    own.rip = at;
    own.rax = SYS_mmap;
    // Nothing is to be begun anew before this one.
    own.orig_rax = (uint64_t)-1;
    own.rdi = arguments[0];
    own.rsi = arguments[1];
    own.rdx = arguments[2];
    own.r10 = arguments[3];
    own.r8 = arguments[4];
    own.r9 = arguments[5];
    return own;
}

static uint64_t result(const registers *own) { return own->rax; }

#elif defined __aarch64__

typedef struct user_regs_struct registers;

// The kernel has prepared the call to begin anew when the process is stopped in it.
static uint64_t call_address(const registers *own) { return own->pc; }

static bool is_call(long word) { return (word & 0xffffffff) == 0xd4000001; }

static registers call(registers own, uint64_t at, const uint64_t arguments[6]) {
    own.pc = at;
    own.regs[8] = SYS_mmap;
    for (int i = 0; i < 6; i++) own.regs[i] = arguments[i];
    return own;
}

static uint64_t result(const registers *own) { return own->regs[0]; }

#endif

#if defined __x86_64__ || defined __aarch64__

static int transfer(int request, pid_t process, registers *own) {
    struct iovec all = {.iov_base = own, .iov_len = sizeof *own};
    return ptrace(request, process, (void *)NT_PRSTATUS, &all) == 0 ? 0 : errno;
}

// Waits for the process to stop.
static int wait_for_stop(pid_t process, int *status) {
    while (waitpid(process, status, __WALL) < 0)
        if (errno != EINTR) return errno;
    return WIFSTOPPED(*status) ? 0 : ESRCH;
}

// Runs the call in the stopped process. EAGAIN if it is not in a system call.
static int run(pid_t process, const uint64_t arguments[6]) {
    registers own;
    int error = transfer(PTRACE_GETREGSET, process, &own), status;
    if (error != 0) return error;
    uint64_t at = call_address(&own);
    if (at == 0) return EAGAIN;
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, process, (void *)at, NULL);
    if (errno != 0 || !is_call(word)) return EAGAIN;

    registers other = call(own, at, arguments);
    if ((error = transfer(PTRACE_SETREGSET, process, &other)) != 0) return error;
    if (ptrace(PTRACE_SINGLESTEP, process, NULL, NULL) != 0) return errno;
    if ((error = wait_for_stop(process, &status)) != 0) return error;
    // A signal that came first is given back to be delivered afterwards.
    int early = 0;
    while (WSTOPSIG(status) != SIGTRAP || status >> 16 != 0) {
        if (status >> 16 == 0 && early == 0) early = WSTOPSIG(status);
        if (ptrace(PTRACE_SINGLESTEP, process, NULL, NULL) != 0) return errno;
        if ((error = wait_for_stop(process, &status)) != 0) return error;
    }
    if ((error = transfer(PTRACE_GETREGSET, process, &other)) != 0) return error;
    if ((error = transfer(PTRACE_SETREGSET, process, &own)) != 0) return error;
    if (early != 0) kill(process, early);
    int64_t value = (int64_t)result(&other);
    return value < 0 && value > -4096 ? (int)-value : (uint64_t)value == arguments[0] ? 0 : EFAULT;
}

// Lets the stopped process run for a millisecond. Its signals stop it on their way, and go on to it.
static int go_on(pid_t process) {
    struct timespec part = {.tv_nsec = 100000};
    if (ptrace(PTRACE_CONT, process, NULL, NULL) != 0) return errno;
    for (int i = 0; i < 10; i++) {
        int status;
        nanosleep(&part, NULL);
        pid_t stopped = waitpid(process, &status, __WALL | WNOHANG);
        if (stopped == 0) continue;
        if (stopped < 0 || !WIFSTOPPED(status)) return ESRCH;
        if (ptrace(PTRACE_CONT, process, NULL, (void *)(uintptr_t)(status >> 16 == 0 ? WSTOPSIG(status) : 0)) != 0)
            return errno;
    }
    return 0;
}

int cguest_map(pid_t process, uint64_t address, uint64_t length, int file, uint64_t offset) {
    const uint64_t arguments[6] = {
        address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (uint64_t)file, offset,
    };
    if (ptrace(PTRACE_SEIZE, process, NULL, NULL) != 0) return errno;
    int error = EAGAIN;
    for (int i = 0; error == EAGAIN && i < 1000; i++) {
        int status;
        if (i > 0 && (error = go_on(process)) != 0) return error;
        if (ptrace(PTRACE_INTERRUPT, process, NULL, NULL) != 0) return errno;
        if ((error = wait_for_stop(process, &status)) != 0) return error;
        // A signal was first: it is delivered, and the process stops again.
        while (status >> 16 != PTRACE_EVENT_STOP) {
            if (ptrace(PTRACE_CONT, process, NULL, (void *)(uintptr_t)WSTOPSIG(status)) != 0) return errno;
            if ((error = wait_for_stop(process, &status)) != 0) return error;
        }
        error = run(process, arguments);
    }
    if (ptrace(PTRACE_DETACH, process, NULL, NULL) != 0 && error == 0) error = errno;
    return error;
}

#else

int cguest_map(pid_t process, uint64_t address, uint64_t length, int file, uint64_t offset) {
    (void)process, (void)address, (void)length, (void)file, (void)offset;
    return ENOSYS;
}

#endif
