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

/* int tagmem_touch_exchange(uint8_t *at, uint8_t expected, uint8_t desired): what was there; stored if it was expected */
FUNCTION(tagmem_touch_exchange)
	movl %esi, %eax
	lock cmpxchgb %dl, (%rdi)
	movzbl %al, %eax
	ret
END(tagmem_touch_exchange)

/* int tagmem_touch_copy(void *to, const void *from, size_t length) */
FUNCTION(tagmem_touch_copy)
	movq %rdx, %rcx
	rep movsb
	xorl %eax, %eax
	ret
END(tagmem_touch_copy)

/* int tagmem_touch_fill(void *to, int byte, size_t length) */
FUNCTION(tagmem_touch_fill)
	movl %esi, %eax
	movq %rdx, %rcx
	rep stosb
	xorl %eax, %eax
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
