/// What the guest's programs share: MTE as Linux gives it, and the tag instructions. They are also built for the machine
/// that the device is on, with libtagmem in place of the instructions.
#ifndef GUEST_MTE_H
#define GUEST_MTE_H

// Every source file includes this one first.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arm_acle.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { page_size = 4096, granule_size = 16, granules_per_page = page_size / granule_size, tag_count = 16 };

#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x800
#endif

#ifdef __aarch64__
#include "mte-instructions.h"
#else
#include "mte-attached.h"
#endif

/// `PR_SET_TAGGED_ADDR_CTRL`, with the tagged address ABI: modes are PR_MTE_TCF_…, and of the tags in the mask IRG may
/// choose.
static inline int set_mode(unsigned long modes, unsigned long included) {
    return prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | modes | included << PR_MTE_TAG_SHIFT, 0, 0, 0);
}

/// The next of a sequence of numbers; never 0, which it must not start from.
static inline uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
