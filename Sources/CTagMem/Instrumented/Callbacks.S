/*
 * What compilers call before each access, with -fsanitize=kernel-address (gcc, clang) and kernel-hwaddress (clang).
 * Instrumented code spends its time here.
 *
 * Each is a leaf without a frame: what is no fault, it returns from by itself, and what else there is to say the function
 * says that it jumps to, and returns in its place. Where its load of a tag faults, as the tags are gone, the handler
 * returns in its place: then the access finds the memory gone.
 */
#define SPAN_SHIFT 44
#define SPANS 8
#define TAG_SHIFT 40

.macro FUNCTION name
	.globl \name
	.type \name, @function
	.p2align 6
\name:	.cfi_startproc
.endm

.macro END name
	.cfi_endproc
	.size \name, . - \name
.endm

/* rdx: the tags of rdi's span. To 1 if it has none; pointers that are not canonical come to the trap anyway. */
.macro TAGS
	movq %rdi, %rax
	shrq $SPAN_SHIFT, %rax
	cmpq $SPANS, %rax
	jae 1f
	movq tagmem_tags_of_span@GOTPCREL(%rip), %rdx
	movq (%rdx, %rax, 8), %rdx
	testq %rdx, %rdx
	jz 1f
.endm

/* To 2 if the tag of an address differs from that of its granule: a nibble of byte (address mod 1 TiB) >> 5 of the tags. */
.macro COMPARE address, address32
	movq \address, %rax
	shlq $(64 - TAG_SHIFT), %rax
	shrq $(64 - TAG_SHIFT + 5), %rax
	movl \address32, %ecx
	shrl $2, %ecx
	andl $4, %ecx
	movzbl (%rdx, %rax), %eax
	shrl %cl, %eax
	movq \address, %rcx
	shrq $TAG_SHIFT, %rcx
	xorl %ecx, %eax
	testb $15, %al
	jnz 2f
.endm

/* An aligned access is in one granule. */
.macro CALLBACK prefix, access, is_store, size
FUNCTION \prefix\()_\access\size\()_noabort
	TAGS
	.if \size > 1
	testb $(\size - 1), %dil
	jnz 2f
	.endif
	COMPARE %rdi, %edi
1:	ret
2:	movl $\size, %esi
	movl $\is_store, %edx
	jmp tagmem_check_access
END \prefix\()_\access\size\()_noabort
.endm

/* Any size, in rsi: up to that of two granules its ends are looked at. */
.macro CALLBACKS prefix, access, is_store
	.irp size, 1, 2, 4, 8, 16
	CALLBACK \prefix, \access, \is_store, \size
	.endr
FUNCTION \prefix\()_\access\()N_noabort
	TAGS
	leaq -1(%rsi), %rax
	cmpq $16, %rax
	ja 2f
	leaq -1(%rdi, %rsi), %r8
	COMPARE %rdi, %edi
	movq %rdi, %rax
	xorq %r8, %rax
	testq $-16, %rax
	jz 1f
	COMPARE %r8, %r8d
1:	ret
2:	movl $\is_store, %edx
	jmp tagmem_check_access
END \prefix\()_\access\()N_noabort
.endm

	.text
	.globl tagmem_callbacks_begin, tagmem_callbacks_end
	.hidden tagmem_callbacks_begin, tagmem_callbacks_end, tagmem_check_access
	.p2align 6
tagmem_callbacks_begin:
	CALLBACKS __asan, load, 0
	CALLBACKS __asan, store, 1
	CALLBACKS __hwasan, load, 0
	CALLBACKS __hwasan, store, 1
tagmem_callbacks_end:

/* What gcc and clang call besides, without need: nothing is known here of stacks and of globals. */
.irp name, __asan_handle_no_return, __asan_before_dynamic_init, __asan_after_dynamic_init
FUNCTION \name
	ret
END \name
.endr

	.section .note.GNU-stack, "", @progbits
