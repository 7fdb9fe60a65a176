/*
 * What the rooms of libtagmem share. Names that are not in a public header begin with `tagmem_` and are hidden; those
 * that a room has for itself are static.
 *
 *   Space/         attachments: spans, their mappings, what is mapped in them how; tags of memory
 *   Check/         what a thread checks, and whether an access may be done: one place decides
 *   Trap/          an instruction that was refused: what it accesses; done once through the plain alias
 *   Signals/       SIGSEGV and SIGBUS: from the kernel to the program, and the program's own handlers
 *   Environment/   Linux's interface of MTE: mmap and kin, prctl, getauxval, threads, fork, system calls on buffers
 *   Instrumented/  the callbacks of compilers, and checked memcpy and kin; a library of its own
 *
 * A call goes down this list of rooms only: Trap knows nothing of signals, Check nothing of traps.
 *
 * Locks: `tagmem_lock()` blocks all signals of the thread, then takes the one lock; so what is done in a handler may take
 * it. Nothing of the span is touched and nothing of libc that takes a lock is called while it is held.
 */
#ifndef TAGMEM_INTERNAL_H
#define TAGMEM_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include <tagmem.h>

#pragma GCC visibility push(hidden)

enum { tagmem_page = 4096, tagmem_span_count = 8 };

/* MARK: Space */

/* A range of a span's offsets that is mapped alike. */
struct tagmem_region {
	uint64_t start, end; /* offsets, whole pages */
	int protection; /* PROT_READ, PROT_WRITE, PROT_EXEC, and PROT_MTE if it has tags */
	bool is_shared;
};

/* An attachment. Found by its addresses: tagmem_spans[address >> TAGMEM_SPAN_SHIFT]. */
struct tagmem_span {
	uintptr_t base; /* of offset 0 with tag 0 */
	char *plain; /* offset 0 of the alias that is never closed, outside of the span; its protection is always read and
			write */
	uint8_t *tags; /* the mapping of `tags`: the tag of offset o is a nibble of tags[o >> 5] */
	int directory, mem, tags_file; /* descriptors, close-on-exec */
	unsigned flags; /* TAGMEM_VIEWS, TAGMEM_READONLY */
	bool is_environment; /* Environment/ made it: its regions say what is mapped. Otherwise all of it is */
};
extern struct tagmem_span *_Atomic tagmem_spans[tagmem_span_count];

/* The same for instrumented code, that of each span or NULL: `tags` above. */
extern __attribute__((visibility("default"))) const uint8_t *_Atomic tagmem_tags_of_span[tagmem_span_count];

/* A pointer of a program: bits 43:40 are its tag, or bits 59:56 if bits 63:56 are not 0 (programs that compute with those
 * bits work as well). */
struct tagmem_pointer {
	struct tagmem_span *span; /* NULL: it points into none */
	uint64_t offset;
	unsigned tag;
};
struct tagmem_pointer tagmem_pointer_of(uintptr_t address);

/* What is mapped at an offset: false if nothing is. In a span that is not the environment's: all 1 TiB, with tags. The
 * region is clipped to nothing; locks. */
bool tagmem_region_at(const struct tagmem_span *span, uint64_t offset, struct tagmem_region *region);

void tagmem_lock(void);
void tagmem_unlock(void);

/* Closes the page of that alias (PROT_NONE), so that the next access to it comes to the trap; opens it again. A page that
 * several threads have closed opens when all of them have opened it. Where the kernel has no more mappings to give, more
 * than the page is closed. Async-signal-safe. */
void tagmem_close_page(uintptr_t address);
void tagmem_open_page(uintptr_t address);

/* The tag of a granule, where there is memory with tags. Async-signal-safe. */
unsigned tagmem_tag_at(const struct tagmem_span *span, uint64_t offset);

/* MARK: Check */

/* What a thread has of a processor and of Linux's thread state. */
struct tagmem_thread {
	unsigned long control; /* as prctl(PR_SET_TAGGED_ADDR_CTRL) takes it: PR_MTE_TCF_…, PR_MTE_STORE_ONLY, mask */
	bool has_control; /* false: nobody has called prctl. Then attached spans are checked in `sync`, the
			     environment's are not checked */
	bool tco; /* PSTATE.TCO */
	bool has_deferred_fault; /* an asynchronous fault that no signal has told yet */
	uint64_t random; /* state of IRG's generator */
};
/* The thread's own. Its model is initial-exec, so that a handler may use it. */
extern __attribute__((visibility("default"))) _Thread_local struct tagmem_thread tagmem_thread
    __attribute__((tls_model("initial-exec")));

/* What an access meets. */
enum tagmem_verdict {
	TAGMEM_OUTSIDE, /* it touches no span at all */
	TAGMEM_ALLOWED, /* it may be done, through the plain alias */
	TAGMEM_ALLOWED_DEFERRED, /* the same, and it was an asynchronous fault */
	TAGMEM_TAG_FAULT, /* SIGSEGV, SEGV_MTESERR */
	TAGMEM_UNMAPPED, /* SIGSEGV, SEGV_MAPERR */
	TAGMEM_PROTECTED, /* SIGSEGV, SEGV_ACCERR */
	TAGMEM_GONE, /* SIGBUS, BUS_ADRERR: behind the object's end */
};
struct tagmem_judgement {
	enum tagmem_verdict verdict;
	uintptr_t address; /* the fault address, with its tag as the pointer had it */
	unsigned allocation_tag; /* of a tag fault */
};

/* Judges one access as the thread checks it now, all granules of it, across pages. Reports tag faults to the device's log
 * (TAGMEM_REPORT_FAULT) if `reports`. Async-signal-safe. */
struct tagmem_judgement tagmem_judge(uintptr_t address, size_t size, bool is_store, bool reports);

/* MARK: Trap */

/* One access of an instruction. */
struct tagmem_operand {
	uintptr_t address; /* as the instruction has it: tagged, canonical or not */
	uint32_t size; /* bytes */
	bool is_load, is_store; /* both: read-modify-write; a compare-and-swap counts as a store */
};

enum tagmem_trap {
	TAGMEM_TRAP_DONE, /* done once: the context is that behind it (of a rep: behind some iterations) */
	TAGMEM_TRAP_FAULT, /* not done: `judgement` says what to raise */
	TAGMEM_TRAP_SIGNAL, /* not done, as it raises another signal: `signal` */
	TAGMEM_TRAP_UNKNOWN, /* an instruction that the library cannot do; `text` says which */
	TAGMEM_TRAP_NOT_OURS, /* it accesses no span: the kernel's signal is the program's */
};
struct tagmem_signal {
	int number, code; /* SIGFPE of a division, SIGSEGV with SI_KERNEL of a misaligned vector, … */
	uintptr_t address; /* si_addr */
};
struct tagmem_trap_result {
	enum tagmem_trap trap;
	struct tagmem_judgement judgement;
	struct tagmem_operand operand; /* the one that faults, or the first that is a deferred fault */
	struct tagmem_signal signal;
	bool has_deferred_fault; /* it was done and was an asynchronous fault */
	char text[96];
};

/* Does the instruction at the context's program counter, which the kernel has refused: decodes it, has each of its accesses
 * judged, and if all may be done does it once through the plain alias, with all registers. Async-signal-safe; 4 KiB of
 * stack. The context of what is not done is unchanged, but for the iterations of a gather or scatter that are done and the
 * flags of a SIGFPE.
 *
 * The kernel refuses with SIGSEGV (a closed page; a pointer with bits 59:56: SI_KERNEL, no address) and with SIGBUS (a
 * view's refused page; a pointer with bits 59:56 in rsp or rbp: SI_KERNEL, no address). */
struct tagmem_trap_result tagmem_trap(ucontext_t *context);

/* While tagmem_trap does an instruction, the plain alias may raise SIGBUS or SIGSEGV (the object was cut; the daemon ended;
 * it was detached), and the instruction itself SIGSEGV (a misaligned vector) and SIGFPE (a division). So these three are
 * not blocked while tagmem_trap runs (SA_NODEFER), and their handlers ask this first. True: it was that, and the handler
 * returns at once; tagmem_trap will say FAULT with TAGMEM_GONE or TAGMEM_UNMAPPED, or SIGNAL. Where SIGFPE's handler does
 * not ask, the program's gets a context that is not the program's. */
bool tagmem_trap_recover(const siginfo_t *info, ucontext_t *context);

/* MARK: Signals */

/* Takes SIGSEGV and SIGBUS. Once, before main. */
void tagmem_install_signals(void);

/* An asynchronous fault of this thread: the signal comes at its next system call that the library sees
 * (tagmem_deliver_deferred), or in a few milliseconds. Async-signal-safe. */
void tagmem_note_deferred(void);
void tagmem_deliver_deferred(void);

/* MARK: Environment */

/* How far the `length` bytes at `buffer` may be read or written by the kernel for the program, and where it finds them: a
 * pointer that is never refused by a closed page. -1: not even the first (EFAULT). */
ssize_t tagmem_user_buffer(const void *buffer, size_t length, bool is_store, void **plain);

#pragma GCC visibility pop

#endif
