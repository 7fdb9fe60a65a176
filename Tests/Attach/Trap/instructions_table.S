/* Instructions with operands in memory, of every kind that compilers and libraries have. Those that this processor does not
 * have are skipped: they raise SIGILL. */
	.set PLAIN, 0
	.set STACK, 1
	.set MIXED, 2
	.set COUNT, 3
	.set TABLE, 4
	.set GATHER, 5
	.set STATE, 6
	.set LINE, 7
	.set NO_ACCESS, 8

	.macro case kind, text:vararg
	.pushsection .rodata.text, "a"
9991:	.asciz "\text"
	.popsection
	.pushsection .data.rel.ro, "aw"
	.quad 9991b, 9992f, \kind
	.popsection
9992:	\text
	jmp machine_after
	.endm

	.section .data.rel.ro, "aw"
	.globl instructions, instructions_end
	.p2align 3
instructions:
	.text

	/* All widths, both directions. */
	.irp op, add, or, adc, sbb, and, sub, xor, cmp
	case PLAIN, \op\()b %al, (%rdi)
	case PLAIN, \op\()b %ah, 3(%rdi)
	case PLAIN, \op\()w %r10w, (%rdi,%rcx)
	case PLAIN, \op\()l %edx, -4(%rbp,%r9,2)
	case PLAIN, \op\()q %r12, 8(%rsi,%rcx,8)
	case PLAIN, \op\()b (%rdi), %r15b
	case PLAIN, \op\()b (%rdi), %bh
	case PLAIN, \op\()w (%r13), %ax
	case PLAIN, \op\()l 128(%r13), %r8d
	case PLAIN, \op\()q -128(%rbx), %r11
	case PLAIN, \op\()b $0x5a, (%rdi)
	case PLAIN, \op\()w $0x1234, (%rdi)
	case PLAIN, \op\()l $0x12345678, (%rdi)
	case PLAIN, \op\()q $-5, (%rdi)
	case PLAIN, \op\()q $-0x12345678, (%rbp)
	.endr
	.irp op, add, or, adc, sbb, and, sub, xor
	case PLAIN, lock \op\()b %al, (%rdi)
	case PLAIN, lock \op\()w %r10w, (%rdi)
	case PLAIN, lock \op\()l $7, (%rdi)
	case PLAIN, lock \op\()q %rdx, (%rdi)
	.endr
	.irp op, inc, dec, not, neg
	case PLAIN, \op\()b (%rdi)
	case PLAIN, \op\()w (%rdi)
	case PLAIN, \op\()l (%rdi)
	case PLAIN, \op\()q (%rdi)
	case PLAIN, lock \op\()q (%rdi)
	case PLAIN, lock \op\()b (%rdi)
	.endr
	.irp op, rol, ror, rcl, rcr, shl, shr, sar
	case PLAIN, \op\()b (%rdi)
	case PLAIN, \op\()w %cl, (%rdi)
	case PLAIN, \op\()l $5, (%rdi)
	case PLAIN, \op\()q $63, (%rdi)
	.endr
	.irp op, test
	case PLAIN, testb %al, (%rdi)
	case PLAIN, testw %r10w, (%rdi)
	case PLAIN, testl $0x8000, (%rdi)
	case PLAIN, testq %r15, (%rdi)
	.endr
	.irp op, mul, imul, div, idiv
	case PLAIN, \op\()b (%rdi)
	case PLAIN, \op\()w (%rdi)
	case PLAIN, \op\()l (%rdi)
	case PLAIN, \op\()q (%rdi)
	.endr
	case PLAIN, imulw (%rdi), %ax
	case PLAIN, imull (%rdi), %r9d
	case PLAIN, imulq $3, (%rdi), %rdx
	case PLAIN, imulq $0x123456, (%rdi), %rdx
	case PLAIN, shldw $3, %ax, (%rdi)
	case PLAIN, shldq %cl, %rdx, (%rdi)
	case PLAIN, shrdl $9, %r10d, (%rdi)

	/* Moves, and rsp as an operand. */
	case PLAIN, movb %al, (%rdi)
	case PLAIN, movb %dh, (%rdi)
	case PLAIN, movb %sil, (%rdi)
	case PLAIN, movb %spl, (%rdi)
	case PLAIN, movw %r8w, (%rdi)
	case PLAIN, movl %esp, (%rdi)
	case PLAIN, movq %rsp, (%rdi)
	case PLAIN, movq %rsi, (%rdi,%rcx,4)
	case PLAIN, movq %rdi, (%rdi)
	case PLAIN, movb (%rdi), %spl
	case PLAIN, movb (%rdi), %ch
	case PLAIN, movw (%rdi), %sp
	case PLAIN, movl (%rdi), %esp
	case PLAIN, movq (%rdi), %rsp
	case PLAIN, addq (%rdi), %rsp
	case PLAIN, cmpq %rsp, (%rdi)
	case PLAIN, xchgq %rsp, (%rdi)
	case PLAIN, imulq $5, (%rdi), %rsp
	case PLAIN, movzwl (%rdi), %esp
	case PLAIN, movq (%rdi), %rdi
	case PLAIN, movq (%r13), %r13
	case PLAIN, movl (%rbp), %ebp
	case PLAIN, movb $0x7f, (%rdi)
	case PLAIN, movw $0x7f7f, (%rdi)
	case PLAIN, movl $0x7f7f7f7f, 4(%rdi)
	case PLAIN, movq $-2, 0x40(%rdi,%r9,8)
	case PLAIN, movzbw (%rdi), %ax
	case PLAIN, movzbl (%rdi), %r9d
	case PLAIN, movzbq (%rdi), %rdx
	case PLAIN, movzwl (%rdi), %edx
	case PLAIN, movzwq (%rdi), %rdx
	case PLAIN, movsbw (%rdi), %dx
	case PLAIN, movsbl (%rdi), %edx
	case PLAIN, movsbq (%rdi), %rdx
	case PLAIN, movswl (%rdi), %edx
	case PLAIN, movswq (%rdi), %rdx
	case PLAIN, movslq (%rdi), %rdx
	case PLAIN, movbew (%rdi), %ax
	case PLAIN, movbel %r9d, (%rdi)
	case PLAIN, movbeq (%rdi), %r15
	case PLAIN, movntil %eax, (%rdi)
	case PLAIN, movntiq %rax, (%rdi)
	case PLAIN, movw %fs, (%rdi)
	case PLAIN, movw %ds, (%rdi)
	case PLAIN, ds movq (%rdi), %rax
	case PLAIN, cs movq (%rdi), %rax

	/* Atomics. */
	.irp op, xchg, xadd, cmpxchg
	case PLAIN, \op\()b %dl, (%rdi)
	case PLAIN, \op\()w %dx, (%rdi)
	case PLAIN, \op\()l %edx, (%rdi)
	case PLAIN, \op\()q %r14, (%rdi)
	case PLAIN, lock \op\()b %dl, (%rdi)
	case PLAIN, lock \op\()l %r8d, (%rdi)
	case PLAIN, lock \op\()q %rdx, (%rdi)
	.endr
	case PLAIN, cmpxchg8b (%rdi)
	case PLAIN, lock cmpxchg8b (%rdi)
	case PLAIN, cmpxchg16b (%rdi)
	case PLAIN, lock cmpxchg16b (%rsi)

	/* Bits: with a register, far away. */
	.irp op, bt, bts, btr, btc
	case PLAIN, \op\()w %r9w, (%rdi)
	case PLAIN, \op\()l %r9d, (%rdi)
	case PLAIN, \op\()q %r9, (%rdi)
	case PLAIN, \op\()q %r9, -8(%rdi,%rcx,8)
	case PLAIN, \op\()w $13, (%rdi)
	case PLAIN, \op\()l $77, (%rdi)
	case PLAIN, \op\()q $60, (%rdi)
	.endr
	case PLAIN, lock btsl %r9d, (%rdi)
	case PLAIN, lock btrq $5, (%rdi)
	case PLAIN, lock btcq %r9, (%rdi)

	.irp cc, o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
	case PLAIN, set\cc (%rdi)
	case PLAIN, cmov\cc\()q (%rdi), %rdx
	.endr
	case PLAIN, cmovew (%rdi), %dx
	case PLAIN, cmovnel (%rdi), %edx
	case PLAIN, cmovaq (%rdi), %rsp

	case PLAIN, popcntw (%rdi), %ax
	case PLAIN, popcntq (%rdi), %rax
	case PLAIN, lzcntl (%rdi), %eax
	case PLAIN, tzcntq (%rdi), %rax
	case PLAIN, bsfq (%rdi), %rax
	case PLAIN, bsrl (%rdi), %eax
	case PLAIN, andnq (%rdi), %rdx, %rax
	case PLAIN, andnl (%rdi), %esp, %eax
	case PLAIN, andnq (%rdi), %rdx, %rsp
	case PLAIN, bextrq %r9, (%rdi), %rax
	case PLAIN, bextrq %rsp, (%rdi), %rax
	case PLAIN, blsiq (%rdi), %rax
	case PLAIN, blsrl (%rdi), %esp
	case PLAIN, blsmskq (%rdi), %r15
	case PLAIN, bzhiq %rcx, (%rdi), %r10
	case PLAIN, mulxq (%rdi), %r8, %r9
	case PLAIN, mulxq (%rdi), %rsp, %r9
	case PLAIN, pdepq (%rdi), %rdx, %rax
	case PLAIN, pextl (%rdi), %edx, %eax
	case PLAIN, rorxq $7, (%rdi), %rax
	case PLAIN, sarxq %rcx, (%rdi), %rax
	case PLAIN, shlxl %r9d, (%rdi), %eax
	case PLAIN, shrxq %rsp, (%rdi), %rax
	case PLAIN, adcxq (%rdi), %rax
	case PLAIN, adoxl (%rdi), %edx
	case PLAIN, crc32b (%rdi), %eax
	case PLAIN, crc32w (%rdi), %eax
	case PLAIN, crc32q (%rdi), %r9

	/* The stack. */
	case STACK, pushq %rax
	case STACK, pushq %rsp
	case STACK, pushw %r12w
	case STACK, pushq $5
	case STACK, pushq $-0x12345
	case STACK, pushw $0x1234
	case STACK, pushq %fs
	case STACK, pushq (%rdi)
	case STACK, pushw (%rdi)
	case STACK, pushq 16(%rsp)
	case STACK, pushq -8(%rsp,%rcx,8)
	case STACK, popq %rax
	case STACK, popq %r12
	case STACK, popq %rsp
	case STACK, popw %dx
	case STACK, popw %sp
	case STACK, popq (%rdi)
	case STACK, popw (%rdi)
	case STACK, popq 8(%rsp)
	case STACK, pushfq
	case STACK, pushfw
	case STACK, popfw
	case STACK, enter $16, $0
	case STACK, enter $0x120, $1
	case STACK, enter $8, $2
	case STACK, enter $8, $5
	case STACK, leaveq
	case STACK, .byte 0x66, 0xc9
	case STACK, callq machine_target
	case STACK, callq *%r14
	case TABLE, callq *(%rdi)
	case TABLE, callq *(%rsp)
	case TABLE, jmpq *(%rdi)
	case TABLE, jmpq *8(%rdi,%r9,8)
	case TABLE, notrack jmpq *(%rdi)
	case TABLE, retq
	case TABLE, repz retq
	case TABLE, retq $24
	case MIXED, pushq (%rdi)
	case MIXED, popq (%rdi)
	case MIXED, popw 8(%rdi)
	case MIXED, pushw -2(%rsi)
	case STACK, movq 8(%rsp), %rax
	case STACK, movq %rax, (%rsp)
	case STACK, addq $8, 16(%rsp,%rcx,8)
	case STACK, movq %rsp, -8(%rsp)
	case STACK, xchgq %rsp, 8(%rsp)
	case PLAIN, xlatb

	/* Strings. */
	.irp suffix, b, w, l, q
	case PLAIN, movs\suffix
	case PLAIN, cmps\suffix
	case PLAIN, stos\suffix
	case PLAIN, lods\suffix
	case PLAIN, scas\suffix
	case COUNT, rep movs\suffix
	case COUNT, rep stos\suffix
	case COUNT, rep lods\suffix
	case COUNT, repe cmps\suffix
	case COUNT, repne cmps\suffix
	case COUNT, repe scas\suffix
	case COUNT, repne scas\suffix
	.endr
	case COUNT, .byte 0xf2, 0xa4
	case MIXED, movsq

	/* The x87 and MMX. */
	case PLAIN, flds (%rdi)
	case PLAIN, fldl (%rdi)
	case PLAIN, fldt (%rdi)
	case PLAIN, fsts (%rdi)
	case PLAIN, fstpl (%rdi)
	case PLAIN, fstpt (%rdi)
	case PLAIN, filds (%rdi)
	case PLAIN, fildl (%rdi)
	case PLAIN, fildq (%rdi)
	case PLAIN, fists (%rdi)
	case PLAIN, fistpl (%rdi)
	case PLAIN, fistpq (%rdi)
	case PLAIN, fisttps (%rdi)
	case PLAIN, fisttpq (%rdi)
	case PLAIN, fbld (%rdi)
	case PLAIN, fbstp (%rdi)
	.irp op, add, sub, subr, mul, div, divr, com, comp
	case PLAIN, f\op\()s (%rdi)
	case PLAIN, f\op\()l (%rdi)
	case PLAIN, fi\op\()s (%rdi)
	case PLAIN, fi\op\()l (%rdi)
	.endr
	case PLAIN, fldcw (%rdi)
	case PLAIN, fnstcw (%rdi)
	case PLAIN, fnstsw (%rdi)
	case PLAIN, fnstenv (%rdi)
	case PLAIN, fldenv (%rdi)
	case PLAIN, fnsave (%rdi)
	case PLAIN, frstor (%rdi)
	.irp op, paddb, paddsw, psubd, pmullw, pmaddwd, pand, pandn, por, pxor, pcmpeqb, pcmpgtw, psllq, psrad, punpckhbw, punpckldq, packssdw, packuswb, pavgb, pminub, pmaxsw, psadbw, pshufb, pabsd, phaddw, pmulhrsw, psignd, pmuludq
	case PLAIN, \op (%rdi), %mm1
	.endr
	case PLAIN, pshufw $0x1b, (%rdi), %mm0
	case PLAIN, palignr $3, (%rdi), %mm2
	case PLAIN, pinsrw $2, (%rdi), %mm3
	case PLAIN, movq (%rdi), %mm5
	case PLAIN, movq %mm6, (%rdi)
	case PLAIN, movd (%rdi), %mm5
	case PLAIN, movd %mm6, (%rdi)
	case PLAIN, movntq %mm1, (%rdi)
	case PLAIN, cvtpi2ps (%rdi), %xmm1
	case PLAIN, cvtpi2pd (%rdi), %xmm1
	case PLAIN, cvtps2pi (%rdi), %mm1
	case PLAIN, cvttpd2pi (%rdi), %mm1
	case PLAIN, maskmovq %mm1, %mm2
	case PLAIN, maskmovdqu %xmm1, %xmm2
	case PLAIN, vmaskmovdqu %xmm1, %xmm2

	/* SSE and AVX in both encodings. */
	.irp op, movaps, movups, movapd, movupd, movdqa, movdqu
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, \op %xmm14, 16(%rdi,%rcx,8)
	case PLAIN, v\op (%rdi), %xmm1
	case PLAIN, v\op (%rdi), %ymm11
	case PLAIN, v\op %ymm2, (%rdi)
	case PLAIN, v\op %xmm12, (%r13)
	.endr
	.irp op, movlps, movhps, movlpd, movhpd
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, \op %xmm14, (%rdi)
	case PLAIN, v\op (%rdi), %xmm3, %xmm1
	case PLAIN, v\op %xmm14, (%rdi)
	.endr
	.irp op, movss, movsd, movd, movq
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, \op %xmm14, (%rdi)
	case PLAIN, v\op (%rdi), %xmm1
	case PLAIN, v\op %xmm14, (%rdi)
	.endr
	.irp op, movntps, movntpd, movntdq
	case PLAIN, \op %xmm1, (%rdi)
	case PLAIN, v\op %ymm1, (%rdi)
	.endr
	case PLAIN, movntdqa (%rdi), %xmm1
	case PLAIN, vmovntdqa (%rdi), %ymm1
	case PLAIN, lddqu (%rdi), %xmm1
	case PLAIN, vlddqu (%rdi), %ymm1
	case PLAIN, movntss %xmm1, (%rdi)
	case PLAIN, movntsd %xmm1, (%rdi)
	case PLAIN, movddup (%rdi), %xmm1
	case PLAIN, movsldup (%rdi), %xmm1
	case PLAIN, vmovddup (%rdi), %ymm1
	.irp op, addps, addpd, mulps, divpd, subps, minps, maxpd, andps, andnpd, orps, xorpd, unpcklps, unpckhpd, addsubps, haddpd, hsubps
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, v\op (%rdi), %ymm4, %ymm15
	case PLAIN, v\op (%rdi), %xmm4, %xmm5
	.endr
	.irp op, addss, addsd, mulss, divsd, subss, minsd, maxss
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, v\op (%rdi), %xmm14, %xmm5
	.endr
	.irp op, sqrtps, sqrtpd, rcpps, rsqrtps
	case PLAIN, \op (%rdi), %xmm1
	case PLAIN, v\op (%rdi), %ymm1
	.endr
	.irp op, sqrtss, sqrtsd, rcpss, rsqrtss
	case PLAIN, \op (%rdi), %xmm1
	.endr
	case PLAIN, comiss (%rdi), %xmm1
	case PLAIN, ucomisd (%rdi), %xmm1
	case PLAIN, vcomisd (%rdi), %xmm1
	case PLAIN, cmpps $2, (%rdi), %xmm1
	case PLAIN, cmpsd $1, (%rdi), %xmm1
	case PLAIN, vcmppd $13, (%rdi), %ymm1, %ymm2
	case PLAIN, shufps $0x1b, (%rdi), %xmm1
	case PLAIN, vshufpd $5, (%rdi), %ymm1, %ymm2
	case PLAIN, cvtsi2ssl (%rdi), %xmm1
	case PLAIN, cvtsi2sdq (%rdi), %xmm1
	case PLAIN, vcvtsi2sdq (%rdi), %xmm1, %xmm2
	case PLAIN, cvtss2si (%rdi), %eax
	case PLAIN, cvttsd2si (%rdi), %rsp
	case PLAIN, cvtss2sd (%rdi), %xmm1
	case PLAIN, cvtsd2ss (%rdi), %xmm1
	case PLAIN, cvtps2pd (%rdi), %xmm1
	case PLAIN, vcvtps2pd (%rdi), %ymm1
	case PLAIN, cvtpd2ps (%rdi), %xmm1
	case PLAIN, vcvtpd2psy (%rdi), %xmm1
	case PLAIN, cvtdq2ps (%rdi), %xmm1
	case PLAIN, cvtdq2pd (%rdi), %xmm1
	case PLAIN, vcvttps2dq (%rdi), %ymm1
	case PLAIN, vcvtph2ps (%rdi), %ymm1
	case PLAIN, vcvtph2ps (%rdi), %xmm1
	case PLAIN, vcvtps2ph $0, %ymm1, (%rdi)
	case PLAIN, vcvtps2ph $3, %xmm1, (%rdi)
	.irp op, paddb, paddw, paddd, paddq, paddsb, paddusw, psubb, psubq, pmullw, pmulhuw, pmuludq, pmaddwd, pmaddubsw, pand, pandn, por, pxor, pcmpeqb, pcmpeqq, pcmpgtd, pcmpgtq, punpcklbw, punpckhqdq, packsswb, packusdw, pavgw, pminsb, pmaxud, psadbw, pshufb, pabsw, phaddd, psignb, pmulld, pmuldq
	case PLAIN, \op (%rdi), %xmm1
	.endr
	.irp op, paddb, paddq, psubd, pmulld, pand, pxor, pcmpeqd, pshufb, punpckldq, packuswb, pmaxsd, psadbw
	case PLAIN, v\op (%rdi), %ymm1, %ymm2
	case PLAIN, v\op 32(%rsi,%rcx,8), %xmm1, %xmm12
	.endr
	case PLAIN, vpabsd (%rdi), %ymm1
	case PLAIN, psllw (%rdi), %xmm1
	case PLAIN, vpsrlq (%rdi), %ymm1, %ymm2
	case PLAIN, pshufd $0x4e, (%rdi), %xmm1
	case PLAIN, pshuflw $0x4e, (%rdi), %xmm1
	case PLAIN, vpshufhw $0x4e, (%rdi), %ymm1
	case PLAIN, palignr $5, (%rdi), %xmm1
	case PLAIN, vpalignr $5, (%rdi), %ymm1, %ymm2
	case PLAIN, pinsrb $3, (%rdi), %xmm1
	case PLAIN, pinsrw $3, (%rdi), %xmm1
	case PLAIN, pinsrd $3, (%rdi), %xmm1
	case PLAIN, vpinsrq $1, (%rdi), %xmm1, %xmm2
	case PLAIN, pextrb $3, %xmm1, (%rdi)
	case PLAIN, pextrw $3, %xmm1, (%rdi)
	case PLAIN, vpextrd $3, %xmm1, (%rdi)
	case PLAIN, pextrq $1, %xmm1, (%rdi)
	case PLAIN, extractps $2, %xmm1, (%rdi)
	case PLAIN, insertps $0x40, (%rdi), %xmm1
	case PLAIN, vinsertps $0x1c, (%rdi), %xmm1, %xmm2
	case PLAIN, pmovsxbw (%rdi), %xmm1
	case PLAIN, pmovsxbd (%rdi), %xmm1
	case PLAIN, pmovsxbq (%rdi), %xmm1
	case PLAIN, pmovzxwd (%rdi), %xmm1
	case PLAIN, pmovzxdq (%rdi), %xmm1
	case PLAIN, vpmovsxbw (%rdi), %ymm1
	case PLAIN, vpmovzxbq (%rdi), %ymm1
	case PLAIN, vpmovzxwd (%rdi), %ymm1
	case PLAIN, blendps $5, (%rdi), %xmm1
	case PLAIN, blendvpd %xmm0, (%rdi), %xmm1
	case PLAIN, vblendvps %ymm3, (%rdi), %ymm1, %ymm2
	case PLAIN, pblendvb %xmm0, (%rdi), %xmm1
	case PLAIN, pblendw $0x55, (%rdi), %xmm1
	case PLAIN, vpblendd $0x55, (%rdi), %ymm1, %ymm2
	case PLAIN, dpps $0xf1, (%rdi), %xmm1
	case PLAIN, mpsadbw $3, (%rdi), %xmm1
	case PLAIN, phminposuw (%rdi), %xmm1
	case PLAIN, ptest (%rdi), %xmm1
	case PLAIN, vptest (%rdi), %ymm1
	case PLAIN, vtestps (%rdi), %ymm1
	case PLAIN, roundps $1, (%rdi), %xmm1
	case PLAIN, roundsd $2, (%rdi), %xmm1
	case PLAIN, pcmpestri $0xc, (%rdi), %xmm1
	case PLAIN, pcmpestrm $0x4c, (%rdi), %xmm1
	case PLAIN, pcmpistri $0x1a, (%rdi), %xmm1
	case PLAIN, vpcmpistrm $0x1a, (%rdi), %xmm1
	case PLAIN, aesenc (%rdi), %xmm1
	case PLAIN, aesdeclast (%rdi), %xmm1
	case PLAIN, aeskeygenassist $3, (%rdi), %xmm1
	case PLAIN, vaesenc (%rdi), %ymm1, %ymm2
	case PLAIN, pclmulqdq $0x11, (%rdi), %xmm1
	case PLAIN, vpclmulqdq $0x10, (%rdi), %ymm1, %ymm2
	case PLAIN, sha1msg1 (%rdi), %xmm1
	case PLAIN, sha256rnds2 %xmm0, (%rdi), %xmm1
	case PLAIN, gf2p8mulb (%rdi), %xmm1
	case PLAIN, vbroadcastss (%rdi), %ymm1
	case PLAIN, vbroadcastsd (%rdi), %ymm1
	case PLAIN, vbroadcastf128 (%rdi), %ymm1
	case PLAIN, vpbroadcastb (%rdi), %ymm1
	case PLAIN, vpbroadcastw (%rdi), %xmm1
	case PLAIN, vpbroadcastq (%rdi), %ymm1
	case PLAIN, vinsertf128 $1, (%rdi), %ymm1, %ymm2
	case PLAIN, vinserti128 $0, (%rdi), %ymm1, %ymm2
	case PLAIN, vextractf128 $1, %ymm1, (%rdi)
	case PLAIN, vextracti128 $0, %ymm1, (%rdi)
	case PLAIN, vperm2i128 $0x21, (%rdi), %ymm1, %ymm2
	case PLAIN, vpermilps $0x1b, (%rdi), %ymm1
	case PLAIN, vpermilpd (%rdi), %ymm1, %ymm2
	case PLAIN, vpermd (%rdi), %ymm1, %ymm2
	case PLAIN, vpermq $0x1b, (%rdi), %ymm1
	case PLAIN, vpsllvd (%rdi), %ymm1, %ymm2
	case PLAIN, vpsravd (%rdi), %xmm1, %xmm2
	case PLAIN, vfmadd213ps (%rdi), %ymm1, %ymm2
	case PLAIN, vfnmsub231sd (%rdi), %xmm1, %xmm2
	case PLAIN, ldmxcsr (%rdi)
	case PLAIN, stmxcsr (%rdi)
	case PLAIN, vldmxcsr (%rdi)
	case PLAIN, vstmxcsr (%rdi)
	case LINE, clzero

	/* Elements of a mask. */
	case PLAIN, vmaskmovps (%rdi), %ymm1, %ymm2
	case PLAIN, vmaskmovps (%rdi), %xmm1, %xmm2
	case PLAIN, vmaskmovps %ymm2, %ymm1, (%rdi)
	case PLAIN, vmaskmovpd (%rdi), %ymm1, %ymm2
	case PLAIN, vmaskmovpd %xmm2, %xmm1, (%rdi)
	case PLAIN, vpmaskmovd (%rdi), %ymm1, %ymm2
	case PLAIN, vpmaskmovd %ymm2, %ymm1, (%rdi)
	case PLAIN, vpmaskmovq (%rdi), %xmm1, %xmm2
	case PLAIN, vpmaskmovq %ymm2, %ymm1, (%rdi)
	case GATHER, vpgatherdd %ymm1, (%rdi,%ymm2,4), %ymm3
	case GATHER, vpgatherdd %xmm1, 4(%rdi,%xmm2,2), %xmm3
	case GATHER, vpgatherdq %ymm1, (%rdi,%xmm2,8), %ymm13
	case GATHER, vpgatherdq %xmm1, (%rdi,%xmm2,1), %xmm3
	case GATHER, vpgatherqd %xmm1, (%rdi,%ymm4,4), %xmm3
	case GATHER, vpgatherqd %xmm1, (%rdi,%xmm4,4), %xmm3
	case GATHER, vpgatherqq %ymm1, -64(%rdi,%ymm4,8), %ymm3
	case GATHER, vgatherdps %ymm1, (%rdi,%ymm2,4), %ymm3
	case GATHER, vgatherdpd %ymm1, (%r13,%xmm2,8), %ymm3
	case GATHER, vgatherqps %xmm1, (%rdi,%ymm4,4), %xmm3
	case GATHER, vgatherqpd %ymm1, (%rdi,%ymm4,8), %ymm3
	case GATHER, vgatherqpd %xmm1, (%rdi,%xmm4,8), %xmm3

	/* AVX-512. */
	case PLAIN, vmovdqu64 (%rdi), %zmm1
	case PLAIN, vmovdqu64 %zmm31, (%rdi)
	case PLAIN, vmovdqu8 (%rdi), %zmm1{%k1}
	case PLAIN, vmovdqu8 %zmm17, (%rdi){%k2}
	case PLAIN, vmovdqu32 64(%rdi,%rcx,8), %zmm1{%k1}{z}
	case PLAIN, vaddps (%rdi){1to16}, %zmm1, %zmm2{%k1}
	case PLAIN, vaddpd 128(%rdi), %zmm1, %zmm18{%k3}
	case PLAIN, vpcompressd %zmm1, (%rdi){%k1}
	case PLAIN, vpexpandq (%rdi), %zmm1{%k1}
	case PLAIN, vpmovqb %zmm1, (%rdi){%k1}
	case PLAIN, vpternlogd $0x96, (%rdi), %zmm1, %zmm2
	case PLAIN, kmovq (%rdi), %k3
	case PLAIN, kmovw %k3, (%rdi)
	case GATHER, vpgatherdd (%rdi,%zmm2,4), %zmm3{%k1}
	case GATHER, vscatterqpd %zmm3, (%rdi,%zmm4,8){%k1}

	/* State. */
	case STATE, fxsave (%rdi)
	case STATE, fxsave64 (%rdi)
	case STATE, fxrstor (%rdi)
	case STATE, fxrstor64 (%rdi)
	case STATE, xsave (%rdi)
	case STATE, xsave64 (%rdi)
	case STATE, xsavec (%rdi)
	case STATE, xsaveopt (%rdi)
	case STATE, xrstor (%rdi)
	case STATE, xrstor64 (%rdi)

	/* No access. */
	case NO_ACCESS, nopl (%rdi)
	case NO_ACCESS, nopw 512(%rdi,%rcx,1)
	case NO_ACCESS, prefetcht0 (%rdi)
	case NO_ACCESS, prefetchnta (%rdi)
	case NO_ACCESS, prefetchw (%rdi)
	case NO_ACCESS, clflush (%rdi)
	case NO_ACCESS, clflushopt (%rdi)
	case NO_ACCESS, clwb (%rdi)
	case NO_ACCESS, leaq 8(%rdi,%rcx,8), %rax

	.section .data.rel.ro, "aw"
instructions_end:
	.section .note.GNU-stack, "", @progbits
