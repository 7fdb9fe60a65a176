/*
 * For programs that were written for MTE on Linux, unchanged: `-include tagmem/compat.h`, and
 * `-I…/tagmem/compat` for their `#include <arm_acle.h>`. It defines what the headers of a machine with MTE define and those of
 * this one do not.
 */
#ifndef TAGMEM_COMPAT_H
#define TAGMEM_COMPAT_H

/* The program has had no chance to say which features it wants of libc. It may still say it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#define TAGMEM_COMPAT_HAS_GNU_SOURCE
#endif

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/prctl.h>
#include <tagmem/arm_acle.h>
#include <tagmem/environment.h>

#ifdef TAGMEM_COMPAT_HAS_GNU_SOURCE
#undef TAGMEM_COMPAT_HAS_GNU_SOURCE
#undef _GNU_SOURCE
#endif

/* What compilers for Arm define with -march=…+memtag. */
#ifndef __ARM_FEATURE_MEMORY_TAGGING
#define __ARM_FEATURE_MEMORY_TAGGING 1
#endif

/* MARK: <asm/mman.h> */

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif

/* MARK: <linux/prctl.h>, of the newest kernel */

#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_GET_TAGGED_ADDR_CTRL 56
#define PR_TAGGED_ADDR_ENABLE (1UL << 0)
#endif
#ifndef PR_MTE_TCF_SHIFT
#define PR_MTE_TCF_SHIFT 1
#endif
#ifndef PR_MTE_TCF_NONE
#define PR_MTE_TCF_NONE 0UL
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_SYNC (1UL << 1)
#endif
#ifndef PR_MTE_TCF_ASYNC
#define PR_MTE_TCF_ASYNC (1UL << 2)
#endif
#ifndef PR_MTE_TCF_MASK
#define PR_MTE_TCF_MASK (PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC)
#endif
#ifndef PR_MTE_TAG_SHIFT
#define PR_MTE_TAG_SHIFT 3
#define PR_MTE_TAG_MASK (0xffffUL << PR_MTE_TAG_SHIFT)
#endif
#ifndef PR_MTE_STORE_ONLY
#define PR_MTE_STORE_ONLY (1UL << 19)
#endif

/* MARK: <signal.h> */

#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#endif
#ifndef SEGV_MTESERR
#define SEGV_MTESERR 9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

/* MARK: <sys/auxv.h> */

#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#endif
#ifndef AT_HWCAP2
#define AT_HWCAP2 26
#endif
#include <tagmem/compat/asm/hwcap.h>

#endif
