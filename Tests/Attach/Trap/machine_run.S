/* Loads all of a struct machine (machine.h), jumps to an instruction, and stores all. The instruction jumps to machine_after. */
	.bss
	.p2align 3
rsp_of_program: .skip 8
machine_now: .skip 8
start: .skip 8
rdi_after: .skip 8
mxcsr: .skip 4
control: .skip 4

	.text
	.globl machine_run, machine_after, machine_target, machine_abort
machine_run:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, rsp_of_program(%rip)
	mov %rdi, machine_now(%rip)
	mov %rsi, start(%rip)
	stmxcsr mxcsr(%rip)
	fnstcw control(%rip)
	mov $0xe7, %eax
	xor %edx, %edx
	xrstor64 192(%rdi)
	pushq 128(%rdi)
	popfq
	mov 0(%rdi), %rax
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 32(%rdi), %rsp
	mov 40(%rdi), %rbp
	mov 48(%rdi), %rsi
	mov 64(%rdi), %r8
	mov 72(%rdi), %r9
	mov 80(%rdi), %r10
	mov 88(%rdi), %r11
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 56(%rdi), %rdi
	jmp *start(%rip)

/* A second place to jump to: seen in r15. */
machine_target:
	mov $0x7a67e7, %r15
machine_after:
	mov %rdi, rdi_after(%rip)
	mov machine_now(%rip), %rdi
	mov %rax, 0(%rdi)
	mov %rcx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rbx, 24(%rdi)
	mov %rsp, 32(%rdi)
	mov %rbp, 40(%rdi)
	mov %rsi, 48(%rdi)
	mov %r8, 64(%rdi)
	mov %r9, 72(%rdi)
	mov %r10, 80(%rdi)
	mov %r11, 88(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	mov rdi_after(%rip), %rax
	mov %rax, 56(%rdi)
	mov rsp_of_program(%rip), %rsp
	pushfq
	popq 128(%rdi)
	mov $0xe7, %eax
	xor %edx, %edx
	xsave64 192(%rdi)
machine_abort:
	mov rsp_of_program(%rip), %rsp
	pushq $0x202
	popfq
	fninit
	fldcw control(%rip)
	ldmxcsr mxcsr(%rip)
	vzeroupper
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.section .note.GNU-stack, "", @progbits
