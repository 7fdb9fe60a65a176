/*
 * Loads and stores of what may be gone. Each is a leaf without a frame: where one of its instructions faults, the handler
 * continues at tagmem_touch_failed, which returns -1 to its caller.
 */
#define FUNCTION(name) \
	.globl name; .hidden name; .type name, @function; .p2align 4; \
	name: .cfi_startproc; endbr64
#define SHARED_FUNCTION(name) \
	.globl name; .type name, @function; .p2align 4; \
	name: .cfi_startproc; endbr64
#define END(name) \
	.cfi_endproc; .size name, . - name

	.text
	.globl tagmem_touch_begin
	.hidden tagmem_touch_begin
tagmem_touch_begin:

/* int tagmem_touch_load(const uint8_t *from) */
SHARED_FUNCTION(tagmem_touch_load)
	movzbl (%rdi), %eax
	ret
END(tagmem_touch_load)

/* int tagmem_touch_change(uint8_t *at, unsigned keep, unsigned set): atomically; what is so already is not stored */
FUNCTION(tagmem_touch_change)
	movzbl (%rdi), %eax
0:	movl %eax, %ecx
	andl %esi, %ecx
	orl %edx, %ecx
	cmpl %eax, %ecx
	je 1f
	lock cmpxchgb %cl, (%rdi)
	jne 0b
1:	xorl %eax, %eax
	ret
END(tagmem_touch_change)

/* int tagmem_touch_copy(void *to, const void *from, size_t length) */
FUNCTION(tagmem_touch_copy)
	movq %rdx, %rcx
	rep movsb
	xorl %eax, %eax
	ret
END(tagmem_touch_copy)

/* int tagmem_touch_fill(void *to, int byte, size_t length): few bytes by eight, as it takes time to begin a rep */
FUNCTION(tagmem_touch_fill)
	movzbl %sil, %eax
	movq %rdx, %rcx
	cmpq $256, %rdx
	ja 3f
	movabsq $0x0101010101010101, %rsi
	imulq %rsi, %rax
	subq $8, %rcx
	jb 1f
0:	movq %rax, (%rdi)
	addq $8, %rdi
	subq $8, %rcx
	jae 0b
1:	addq $8, %rcx
	jz 4f
2:	movb %al, (%rdi)
	incq %rdi
	decq %rcx
	jnz 2b
	jmp 4f
3:	rep stosb
4:	xorl %eax, %eax
	ret
END(tagmem_touch_fill)

	.globl tagmem_touch_end
	.hidden tagmem_touch_end
tagmem_touch_end:

FUNCTION(tagmem_touch_failed)
	movl $-1, %eax
	ret
END(tagmem_touch_failed)

	.section .note.GNU-stack, "", @progbits
