/* <arm_acle.h> of a program for MTE. */
#ifndef TAGMEM_COMPAT_ARM_ACLE_H
#define TAGMEM_COMPAT_ARM_ACLE_H

#include <tagmem/arm_acle.h>

#endif
