/* tagmem_switch(top, function, argument): calls the function with that stack. */
	.text
	.p2align 4
	.globl	tagmem_switch
	.hidden	tagmem_switch
	.type	tagmem_switch, @function
tagmem_switch:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	movq	%rdi, %rsp
	movq	%rdx, %rdi
	call	*%rsi
	movq	%rbp, %rsp
	popq	%rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size	tagmem_switch, . - tagmem_switch

	.section .note.GNU-stack, "", @progbits
