/*
 * What the rooms of libtagmem share. Names that are not in a public header begin with `tagmem_` and are hidden, but for
 * those that Instrumented/ needs, which are TAGMEM_SHARED; those that a room has for itself are static.
 *
 *   Space/         attachments: spans, their mappings, what is mapped in them how; tags of memory
 *   Check/         what a thread checks, and whether an access may be done: one place decides
 *   Trap/          an instruction that was refused: what it accesses; done once through the plain alias
 *   Signals/       SIGSEGV and SIGBUS: from the kernel to the program, and the program's own handlers
 *   Instructions/  Arm's tag instructions as functions, for tagmem/arm_acle.h
 *   Environment/   Linux's interface of MTE: mmap and kin, prctl, getauxval, threads, fork, system calls on buffers
 *   Mismatch/      what instrumented code asks about tags that differ
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
#define TAGMEM_SHARED __attribute__((visibility("default")))

enum { tagmem_page = 4096, tagmem_page_shift = 12, tagmem_span_count = TAGMEM_SPANS };

#ifndef PROT_MTE
#define PROT_MTE 0x20 /* as on arm64 */
#endif

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
	uint8_t *tags; /* the mapping of `tags`: the tag of offset o is a nibble of tags[o >> 5]. In the way `views` it is
			  for loads only */
	uint8_t *pages; /* a byte a page: see tagmem_page_of */
	uint64_t mapped_pages; /* in the environment's span nothing was ever mapped from this page on */
	uint16_t *closed; /* how often each page of each alias is closed: [(address - base) >> tagmem_page_shift] */
	uint32_t closed_of_alias[16]; /* pages that are closed, in each */
	uint16_t closed_aliases; /* a bit for each alias that is closed as a whole */
	int directory, mem, tags_file; /* descriptors, close-on-exec */
	unsigned flags; /* TAGMEM_VIEWS, TAGMEM_READONLY */
	bool is_environment; /* Environment/ made it: its regions say what is mapped. Otherwise all of it is */
};
extern struct tagmem_span *_Atomic tagmem_spans[tagmem_span_count];

/* A pointer of a program: bits 43:40 are its tag, or bits 59:56 if bits 63:56 are not 0 (programs that compute with those
 * bits work as well). */
struct tagmem_pointer {
	struct tagmem_span *span; /* NULL: it points into none */
	uint64_t offset;
	unsigned tag;
};
TAGMEM_SHARED struct tagmem_pointer tagmem_pointer_of(uintptr_t address);

/* The address, in its pointer's form, with another tag. That of a pointer into no span stays if it has no bits 63:56. */
TAGMEM_SHARED uintptr_t tagmem_retag(uintptr_t address, unsigned tag);

/* What is mapped in the page at an offset, 0 if nothing is: bits of PROT_… and of these. In a span that is not the
 * environment's all pages are mapped that the object has, for reading and writing, with tags. No lock; async-signal-safe. */
enum { tagmem_mapped = 0x80, tagmem_mapped_shared = 0x10, tagmem_mapped_straight = TAGMEM_PAGE_STRAIGHT };
unsigned tagmem_page_of(const struct tagmem_span *span, uint64_t offset);

/* The region at an offset: false if nothing is mapped there. Neighbours that are alike are one. In a span that is not the
 * environment's: all 1 TiB, with tags. No lock. */
bool tagmem_region_at(const struct tagmem_span *span, uint64_t offset, struct tagmem_region *region);

/* For the environment's span, which is empty when tagmem_become_environment has returned. The caller holds the lock over what
 * belongs together. Errors are errnos, and then nothing is changed.
 *
 * Maps a region in all aliases, or maps it otherwise; contents and tags are not touched. Closed pages stay closed. */
int tagmem_become_environment(struct tagmem_span *span);
int tagmem_set_region(struct tagmem_span *span, const struct tagmem_region *region);
int tagmem_remove_region(struct tagmem_span *span, uint64_t start, uint64_t end);
/* The first region that ends behind an offset. */
bool tagmem_next_region(const struct tagmem_span *span, uint64_t offset, struct tagmem_region *region);
/* An offset from `start` on with `length` bytes that are not mapped, all below `end`. */
bool tagmem_find_room(const struct tagmem_span *span, uint64_t start, uint64_t end, uint64_t length, uint64_t *room);

/* Where the memory of a range begins, and how long it goes on there: its object's `mem`, or -1, and the offset in it. That
 * is the span's, but for some of the environment's. No lock; async-signal-safe. */
struct tagmem_piece {
	int mem;
	uint64_t offset, length;
};
extern struct tagmem_piece (*tagmem_piece_of)(const struct tagmem_span *span, uint64_t start, uint64_t end);

/* All signals of the thread are blocked meanwhile. A child of fork finds it free. */
void tagmem_lock(void);
void tagmem_unlock(void);

/* Closes the page of that alias (PROT_NONE), so that the next access to it comes to the trap; opens it again. A page that
 * several threads have closed opens when all of them have opened it. Where the kernel has no more mappings to give, all of
 * the alias is closed until none of its pages is. A child of fork has no closed page. Locks; async-signal-safe. */
TAGMEM_SHARED void tagmem_close_page(uintptr_t address);
TAGMEM_SHARED void tagmem_open_page(uintptr_t address);

/* The same for a page of a view that the device refuses, however often it is said. */
void tagmem_close_refused_page(uintptr_t address);
void tagmem_open_refused_page(uintptr_t address);

/* The library's own loads and stores of what may be gone (an object that shrinks, a daemon that dies) are in Touch.S. If the
 * context of a SIGBUS or SIGSEGV is in one of them, this lets it return an error, and the signal is done. Handlers ask it
 * first, and have both signals unblocked. */
bool tagmem_fix_up(ucontext_t *context);
/* Instrumented/ has such loads, too, in functions without a frame: they return where they fault. */
TAGMEM_SHARED void tagmem_add_leaves(const char *begin, const char *end);

/* -1 if some of it is gone; otherwise the byte, or 0. A change keeps some bits and sets others, atomically. */
TAGMEM_SHARED int tagmem_touch_load(const uint8_t *from);
int tagmem_touch_change(uint8_t *at, unsigned keep, unsigned set);
int tagmem_touch_copy(void *to, const void *from, size_t length);
int tagmem_touch_fill(void *to, int byte, size_t length);

/* The address, with tag 0, of what has its tags at an address; 0 if no tags are there. Code in programs stores tags itself:
 * when those are gone, the signal is about the memory. */
uintptr_t tagmem_address_of_tags(uintptr_t address);

/* The tag of a granule, where there is memory with tags; 0 where it is gone. Async-signal-safe. */
TAGMEM_SHARED unsigned tagmem_tag_at(const struct tagmem_span *span, uint64_t offset);

/* MARK: Check */

/* An access that instrumented code is about to make and that must fault, so that its page is closed; see
 * tagmem_close_for_access. */
struct tagmem_closed_access {
	uintptr_t page; /* 0: none */
	uintptr_t address;
	size_t size;
	uintptr_t after; /* where the callback returns to: the access is among the instructions from there on */
	unsigned depth; /* of handlers */
	bool has_faulted;
};
enum { tagmem_closed_max = 4, tagmem_handlers_max = 8 };

/* What a thread has of a processor and of Linux's thread state. */
struct tagmem_thread {
	unsigned long control; /* as prctl(PR_SET_TAGGED_ADDR_CTRL) takes it: PR_MTE_TCF_…, PR_MTE_STORE_ONLY, mask */
	bool has_control; /* false: nobody has called prctl. Then attached spans are checked in `sync`, the
			     environment's are not checked */
	bool tco; /* PSTATE.TCO */
	bool has_deferred_fault; /* an asynchronous fault that no signal has told yet */
	uint64_t random; /* state of IRG's generator, 0 before it is used */
	unsigned depth; /* handlers of the program that the thread is in, or has left by siglongjmp unnoticed */
	uintptr_t handlers[tagmem_handlers_max]; /* the stack pointer of each; bit 0: it is on the alternate stack */
	struct tagmem_closed_access closed[tagmem_closed_max];
	uintptr_t access_at; /* the program counter of what is judged now, for reports; or where its callback returns to */
};
/* The thread's own. Its model is initial-exec, so that a handler may use it. */
extern TAGMEM_SHARED _Thread_local struct tagmem_thread tagmem_thread __attribute__((tls_model("initial-exec")));

/* What a thread that asks for synchronous and asynchronous checks gets: PR_MTE_TCF_ASYNC (as Linux unless the administrator
 * says otherwise), PR_MTE_TCF_SYNC, or both for asymmetric. */
extern unsigned long tagmem_preferred;

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
 * (TAGMEM_REPORT_FAULT) if `reports`. What is not mapped comes before what has another tag; of more than 64 bytes, which
 * are many accesses, the lowest address comes first. A read-modify-write is judged as a load and then as a store. Async-signal-safe. */
TAGMEM_SHARED struct tagmem_judgement tagmem_judge(uintptr_t address, size_t size, bool is_store, bool reports);

/* An access that instrumented code makes next must fault at its own instruction: closes the page of `fault`, its fault
 * address. The page stays closed until the thread is seen to have done the access or given it up, and not in a handler
 * that may return to it; that it is closed longer than needed is slow, and no more. Async-signal-safe. */
void tagmem_close_for_access(uintptr_t address, size_t size, uintptr_t fault, uintptr_t after);

/* One that must not fault: what the thread has closed before is not to bring it to the trap. */
void tagmem_open_for_access(uintptr_t after);

/* The trap has done an instruction (TAGMEM_TRAP_DONE) that the kernel had refused at `address` (si_addr): `program_counter`
 * is where it was, the context as it was refused or behind it. Opens what can be opened. */
void tagmem_access_done(uintptr_t address, uintptr_t program_counter, const ucontext_t *context);
/* The trap has refused an access: its fault address. */
void tagmem_access_faulted(uintptr_t fault);
/* The thread ends. */
void tagmem_open_closed_pages(void);

/* In the way `views`: an access to that page has come to the trap, refused by the device (SIGBUS), or because it is closed. It
 * is closed while the device would refuse it: each time that costs several requests. Async-signal-safe. */
void tagmem_page_refused(uintptr_t address, bool is_by_device);

/* Around each call of a handler of the program, of any signal, on the stack that it runs on: `interrupted` is the context
 * that it gets, and what the first returns goes to the second. A handler that is left by siglongjmp is noticed later. */
unsigned tagmem_enter_handler(const ucontext_t *interrupted);
void tagmem_leave_handler(unsigned depth);
void tagmem_notice_left_handlers(const ucontext_t *context);
void tagmem_notice_left_handlers_here(void);

/* MARK: Trap */

/* One access of an instruction. */
struct tagmem_operand {
	uintptr_t address; /* as the instruction has it: tagged, canonical or not */
	uint32_t size; /* bytes */
	bool is_load, is_store; /* both: read-modify-write; a compare-and-swap counts as a store */
};

enum tagmem_trap {
	TAGMEM_TRAP_DONE, /* done once: the context is behind it (of a rep: behind some iterations), or further on */
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
 * A signal costs more than many instructions: so when it is done, those behind it are done as well while they would be refused,
 * too, and are allowed without any ado; the context is then behind these. They touch nothing of the handler: not its stack,
 * not errno. What is to be seen by them must be done before; so nothing goes ahead of an asynchronous fault.
 *
 * The kernel refuses with SIGSEGV (a closed page; a pointer with bits 59:56: SI_KERNEL, no address) and with SIGBUS (a
 * view's refused page; a pointer with bits 59:56 in rsp or rbp: SI_KERNEL, no address). */
struct tagmem_trap_result tagmem_trap(ucontext_t *context);

/* The bytes of the instruction, 0 if there is none. Async-signal-safe. */
size_t tagmem_instruction_length(uintptr_t pc);

/* While tagmem_trap does an instruction, the plain alias may raise SIGBUS or SIGSEGV (the object was cut; the daemon ended;
 * it was detached), and the instruction itself SIGSEGV (a misaligned vector). So these two are not blocked while tagmem_trap
 * runs (SA_NODEFER), and their handlers ask this first. True: it was that, and the handler returns at once; tagmem_trap will
 * say FAULT with TAGMEM_GONE or TAGMEM_UNMAPPED, or SIGNAL. SIGFPE's handler may ask it as well: where it does not, a
 * program that unmasks exceptions of floating point gets theirs with a context that is not its own. */
bool tagmem_trap_recover(const siginfo_t *info, ucontext_t *context);

/* MARK: Signals */

/* Takes SIGSEGV and SIGBUS. Once, before main. */
void tagmem_install_signals(void);

/* An asynchronous fault of this thread: the signal comes at its next system call that the library sees
 * (tagmem_deliver_deferred), or in a few milliseconds. Async-signal-safe. */
void tagmem_note_deferred(void);
void tagmem_deliver_deferred(void);
/* The thread ends. */
void tagmem_end_signals(void);

/* A fault of a function that stands for an instruction: the signal of the own thread, also to a program that blocks or
 * ignores it. Returns if a handler does: true if that has skipped the instruction (tagmem_skip_instruction). */
bool tagmem_raise(int signal, int code, uintptr_t address);

/* MARK: Environment */

/* How far the `length` bytes at `buffer` may be read or written by the kernel for the program, and where it finds them: a
 * pointer that is never refused by a closed page. -1: not even the first (EFAULT). */
ssize_t tagmem_user_buffer(const void *buffer, size_t length, bool is_store, void **plain);

/* MARK: Mismatch */

/* Instrumented code is about to make an access whose tags differ: true if it must fault; then it does so at its own
 * instruction. `after` is where the callback returns to. Async-signal-safe; preserves errno. */
__attribute__((visibility("default"))) bool tagmem_mismatch(uintptr_t address, size_t size, bool is_store, uintptr_t after);

#pragma GCC visibility pop

#endif
