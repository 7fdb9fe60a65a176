/* The capabilities of arm64 that getauxval tells of where the environment is a machine with MTE. */
#ifndef TAGMEM_COMPAT_ASM_HWCAP_H
#define TAGMEM_COMPAT_ASM_HWCAP_H

#ifndef HWCAP2_MTE
#define HWCAP2_MTE (1 << 18)
#endif
#ifndef HWCAP2_MTE3
#define HWCAP2_MTE3 (1 << 22)
#endif
#ifndef HWCAP3_MTE_FAR
#define HWCAP3_MTE_FAR (1UL << 0)
#endif
#ifndef HWCAP3_MTE_STORE_ONLY
#define HWCAP3_MTE_STORE_ONLY (1UL << 1)
#endif

#endif
