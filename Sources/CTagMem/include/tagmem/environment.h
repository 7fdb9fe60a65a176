/*
 * What a program for MTE does with the processor or the system, and has no function of libc for. C and C++.
 */
#ifndef TAGMEM_ENVIRONMENT_PUBLIC_H
#define TAGMEM_ENVIRONMENT_PUBLIC_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* PSTATE.TCO of the thread: true: its accesses are not checked. Handlers start with false, and what was is restored when they
 * return. Async-signal-safe. */
void tagmem_set_tco(bool off);
bool tagmem_tco(void);

/* For a handler of SIGSEGV or SIGBUS: moves the program counter of its context behind the instruction, which is skipped when
 * the handler returns (`pc += 4` on Arm). False: there is no instruction. Async-signal-safe. */
bool tagmem_skip_instruction(void *context);

/* What a thread that asks for synchronous and asynchronous checks gets, of all processors: as Linux's
 * mte_tcf_preferred in sysfs, which an administrator writes, and which says "async" at first. `mode` is
 * TAGMEM_MODE_SYNC, _ASYNC or _ASYMM of tagmem/ioctl.h; EINVAL for others. The environment variable TAGMEM_PREFERRED (sync,
 * async, asymm) sets it before main. */
int tagmem_set_preferred_mode(unsigned mode);
unsigned tagmem_preferred_mode(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
