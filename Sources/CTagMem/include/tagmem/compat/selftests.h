/*
 * For Linux's tools/testing/selftests/arm64/mte, unchanged: `-include tagmem/compat/selftests.h`, with -ltagmem-selftests in
 * place of mte_helper.S. Its programs compute with bits 59:56 and 63:60 of pointers, so these are where its functions
 * put the tags.
 */
#ifndef TAGMEM_COMPAT_SELFTESTS_H
#define TAGMEM_COMPAT_SELFTESTS_H

#include <tagmem/compat.h>

/* An instruction is skipped by adding 4 to the program counter, its length on Arm. */
#define pc gregs[REG_RIP]
int tagmem_selftests_sigaction(int number, const struct sigaction *action, struct sigaction *old);
#define sigaction(number, action, old) tagmem_selftests_sigaction(number, action, old)

#endif
