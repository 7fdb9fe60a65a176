/*
 * A rewritten instruction with all of the program's registers, but for rsp: that remains the handler's, as signals that
 * come meanwhile are put there. What faults in the code is continued by tagmem_trap_recover at tagmem_run_after.
 *
 * The offsets are those of struct tagmem_run (Trap.h), which Recover.c asserts.
 */
#define FLAGS 128
#define CODE 136
#define STATE 144
#define FEATURES 152
#define SIGNAL 160

	.text
	.globl	tagmem_run, tagmem_run_after
	.hidden	tagmem_run, tagmem_run_after
	.type	tagmem_run, @function
	.p2align 4
tagmem_run:
	endbr64
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	/* 0: a register. 8: the struct. 16: the code. 24: mxcsr. 28: the x87's control word */
	sub	$40, %rsp
	mov	%rdi, 8(%rsp)
	mov	CODE(%rdi), %rax
	mov	%rax, 16(%rsp)
	mov	STATE(%rdi), %rcx
	test	%rcx, %rcx
	jz	1f
	stmxcsr	24(%rsp)
	fnstcw	28(%rsp)
	mov	FEATURES(%rdi), %eax
	mov	FEATURES+4(%rdi), %edx
	xrstor64 (%rcx)
1:	pushq	FLAGS(%rdi)
	popfq
	mov	0(%rdi), %rax
	mov	8(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rbx
	mov	40(%rdi), %rbp
	mov	48(%rdi), %rsi
	mov	64(%rdi), %r8
	mov	72(%rdi), %r9
	mov	80(%rdi), %r10
	mov	88(%rdi), %r11
	mov	96(%rdi), %r12
	mov	104(%rdi), %r13
	mov	112(%rdi), %r14
	mov	120(%rdi), %r15
	mov	56(%rdi), %rdi
	call	*16(%rsp)
tagmem_run_after:
	mov	%rdi, 0(%rsp)
	mov	8(%rsp), %rdi
	mov	%rax, 0(%rdi)
	mov	%rcx, 8(%rdi)
	mov	%rdx, 16(%rdi)
	mov	%rbx, 24(%rdi)
	mov	%rbp, 40(%rdi)
	mov	%rsi, 48(%rdi)
	mov	%r8, 64(%rdi)
	mov	%r9, 72(%rdi)
	mov	%r10, 80(%rdi)
	mov	%r11, 88(%rdi)
	mov	%r12, 96(%rdi)
	mov	%r13, 104(%rdi)
	mov	%r14, 112(%rdi)
	mov	%r15, 120(%rdi)
	mov	0(%rsp), %rax
	mov	%rax, 56(%rdi)
	pushfq
	popq	FLAGS(%rdi)
	cld
	mov	STATE(%rdi), %rcx
	test	%rcx, %rcx
	jz	4f
	mov	FEATURES(%rdi), %eax
	mov	FEATURES+4(%rdi), %edx
	/* An exception of arithmetic leaves its flags in the state, and maybe more. */
	cmpl	$8, SIGNAL(%rdi)
	je	5f
	cmpl	$0, SIGNAL(%rdi)
	jne	2f
5:	xsave64	(%rcx)
	/* The handler's own state: control words as they were, the x87's stack empty, no upper halves. */
2:	test	$1, %al
	jz	3f
	fninit
	fldcw	28(%rsp)
3:	ldmxcsr	24(%rsp)
	test	$4, %al
	jz	4f
	vzeroupper
4:	add	$40, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	tagmem_run, . - tagmem_run

/* int tagmem_copy(void *to, const void *from, size_t size, struct tagmem_signal *signal): r8 is the signal's all through. */
	.globl	tagmem_copy, tagmem_copy_end, tagmem_copy_fails
	.hidden	tagmem_copy, tagmem_copy_end, tagmem_copy_fails
	.type	tagmem_copy, @function
	.p2align 4
tagmem_copy:
	endbr64
	mov	%rcx, %r8
	mov	%rdx, %rcx
	cmp	$8, %rcx
	je	8f
	cmp	$4, %rcx
	je	4f
	cmp	$1, %rcx
	je	1f
	cmp	$2, %rcx
	je	2f
	cmp	$16, %rcx
	je	6f
	rep movsb
	xor	%eax, %eax
	ret
8:	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	xor	%eax, %eax
	ret
4:	mov	(%rsi), %eax
	mov	%eax, (%rdi)
	xor	%eax, %eax
	ret
2:	movzwl	(%rsi), %eax
	mov	%ax, (%rdi)
	xor	%eax, %eax
	ret
1:	movzbl	(%rsi), %eax
	mov	%al, (%rdi)
	xor	%eax, %eax
	ret
6:	movups	(%rsi), %xmm0
	movups	%xmm0, (%rdi)
	xor	%eax, %eax
	ret
tagmem_copy_end:
tagmem_copy_fails:
	mov	$-1, %eax
	ret
	.size	tagmem_copy, . - tagmem_copy

/* iret is what serializes without a way out of a virtual machine; not with a shadow stack, where it needs a token. */
	.globl	tagmem_serialize
	.hidden	tagmem_serialize
	.type	tagmem_serialize, @function
	.p2align 4
tagmem_serialize:
	endbr64
	xor	%eax, %eax
	rdsspq	%rax
	test	%rax, %rax
	jnz	1f
	mov	%rsp, %rax
	mov	%ss, %ecx
	push	%rcx
	push	%rax
	pushfq
	mov	%cs, %ecx
	push	%rcx
	lea	1f(%rip), %rcx
	push	%rcx
	iretq
1:	ret
	.size	tagmem_serialize, . - tagmem_serialize

	.section .note.GNU-stack, "", @progbits
