/*
 * The ioctls of a tagmemd device: on the open files mem, checked, views/T, tags and tags.hex of an object.
 * Documentation/ABI.md, "ioctls", has the table of which file takes which, and the errors.
 *
 * Addresses are tagged pointers into the object: bits 59:56 are the address tag, bits 55:0 the offset. All numbers are
 * in the machine's byte order. Reserved fields and bits without a meaning must be 0 (EINVAL).
 */
#ifndef TAGMEM_IOCTL_H
#define TAGMEM_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Bytes that have one tag, and bytes that have their tags in one call of TAGMEM_GET_TAGS and TAGMEM_SET_TAGS. */
#define TAGMEM_GRANULE 16
#define TAGMEM_TAGS_MAX 256

/* The tags of `count` granules (1 to TAGMEM_TAGS_MAX) from the one that `address` is in, a byte each, 0 to 15. More at
 * once: read and write `tags`. The address tag does not matter. */
struct tagmem_tags {
	__u64 address;
	__u32 count;
	__u32 reserved;
	__u8 tags[TAGMEM_TAGS_MAX];
};

/* Sets all tags of `length` bytes, whole granules. Done at most 1 MiB at a time: the result of ioctl() is the number of
 * bytes that are done. */
struct tagmem_fill {
	__u64 address;
	__u64 length;
	__u8 tag;
	__u8 zero; /* 1: the bytes become 0, too */
	__u8 reserved[6];
};

/* A tag instruction. `xt`, `xn`, `xm` are the registers of its mnemonic in the Arm ARM, `xn` the address where it
 * accesses memory; the result is in `xt`. */
enum tagmem_operation {
	TAGMEM_IRG = 1, /* xt = xn with a random tag; xm excludes, and the open file's GCR */
	TAGMEM_ADDG, /* xt = xn + offset, its tag `tag_offset` steps on */
	TAGMEM_SUBG, /* xt = xn - offset, its tag `tag_offset` steps on */
	TAGMEM_GMI, /* xt = xm with the bit of xn's tag */
	TAGMEM_LDG, /* xt = xt with the tag of xn's granule */
	TAGMEM_STG, /* the tag in xt to xn's granule */
	TAGMEM_ST2G,
	TAGMEM_STZG,
	TAGMEM_STZ2G,
	TAGMEM_STGP, /* xt and xm to xn's granule, and xn's own tag */
	TAGMEM_LDGM, /* 256 bytes: 16 tags in xt, the first in bits 3:0 */
	TAGMEM_STGM,
	TAGMEM_STZGM, /* 64 bytes (DCZID_EL0.BS) get the tag in bits 3:0 of xt, and are 0 */
	TAGMEM_DC_GVA, /* the same 64 bytes get xn's own tag */
	TAGMEM_DC_GZVA, /* the same, and are 0 */
};

struct tagmem_instruction {
	__u32 operation; /* enum tagmem_operation */
	__u16 offset; /* ADDG, SUBG: bytes, a multiple of 16 below 1024 */
	__u8 tag_offset; /* ADDG, SUBG: 0 to 15 */
	__u8 reserved;
	__u64 xt;
	__u64 xn;
	__u64 xm;
};

/* What happened to an access. */
enum tagmem_effect {
	TAGMEM_DONE = 0, /* no mismatch, or none that is checked */
	TAGMEM_FAULT, /* a tag check fault: nothing of the access was done */
	TAGMEM_DEFERRED, /* an asynchronous one: all of it was done */
};

struct tagmem_fault {
	__u64 address; /* the fault address, with its address tag; 0 if there was none */
	__u8 effect; /* enum tagmem_effect */
	__u8 address_tag;
	__u8 allocation_tag;
	__u8 reserved[5];
};

/* A load or store of `size` bytes, 1 to 64, checked as the processor that the open file is checks it: all of it is done,
 * or nothing. The result of ioctl() is 0 with a fault, too. */
struct tagmem_access {
	__u64 address;
	__u32 size;
	__u32 store; /* 1: a store */
	__u8 bytes[64];
	struct tagmem_fault fault; /* out; 0 on entry */
};

/* What an open file has of a processor. Reads, writes and ioctls on it go by that; mappings do not. */
struct tagmem_processor {
	__u16 gcr_exclude; /* GCR_EL1.Exclude: bit t excludes tag t from IRG, ADDG and SUBG */
	__u8 gcr_rrnd; /* GCR_EL1.RRND: 1 (default): IRG's tags are random, 0: they are RGSR's */
	__u8 tco; /* PSTATE.TCO: 1: nothing is checked */
	__u16 rgsr_seed; /* RGSR_EL1.SEED */
	__u8 rgsr_tag; /* RGSR_EL1.TAG */
	__u8 tcma; /* TCR_EL1.TCMA0 in bit 0: 1: pointers with tag 0 are not checked */
	__u8 reserved[8];
};

/* The object's mode, as its file `mode` has it. */
enum tagmem_mode {
	TAGMEM_MODE_NONE = 0,
	TAGMEM_MODE_SYNC = 1,
	TAGMEM_MODE_ASYNC = 2,
	TAGMEM_MODE_ASYMM = 3,
	TAGMEM_MODE_MASK = 3,
	TAGMEM_MODE_STORE_ONLY = 1 << 2, /* FEAT_MTE_STORE_ONLY: loads are not checked */
	TAGMEM_MODE_CANONICAL = 1 << 3, /* FEAT_MTE_CANONICAL_TAGS: memory without tags is checked, too */
};

/* A fault that the program found itself, for the device's log. Who the program is the kernel says. */
struct tagmem_report {
	__u64 address; /* the fault address, with its address tag */
	__u32 size; /* of the access, in bytes */
	__u8 store; /* 1: a store */
	__u8 mode; /* TAGMEM_MODE_SYNC, _ASYNC or _ASYMM: what it was checked in */
	__u8 allocation_tag;
	__u8 reserved;
};

#define TAGMEM_IOC 0xA7
#define TAGMEM_GET_TAGS _IOWR(TAGMEM_IOC, 0x00, struct tagmem_tags)
#define TAGMEM_SET_TAGS _IOW(TAGMEM_IOC, 0x01, struct tagmem_tags)
#define TAGMEM_FILL_TAGS _IOW(TAGMEM_IOC, 0x02, struct tagmem_fill)
#define TAGMEM_EXECUTE _IOWR(TAGMEM_IOC, 0x03, struct tagmem_instruction)
#define TAGMEM_ACCESS _IOWR(TAGMEM_IOC, 0x04, struct tagmem_access)
#define TAGMEM_GET_PROCESSOR _IOR(TAGMEM_IOC, 0x05, struct tagmem_processor)
#define TAGMEM_SET_PROCESSOR _IOW(TAGMEM_IOC, 0x06, struct tagmem_processor)
#define TAGMEM_GET_MODE _IOR(TAGMEM_IOC, 0x07, __u32)
#define TAGMEM_SET_MODE _IOW(TAGMEM_IOC, 0x08, __u32)
#define TAGMEM_REPORT_FAULT _IOW(TAGMEM_IOC, 0x09, struct tagmem_report)

#endif
