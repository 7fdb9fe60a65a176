/// A log of what the tag instructions do over random inputs, in user mode: mte-log SEED COUNT
///
/// Words with a space between, numbers in hexadecimal digits of a fixed width; byte strings in the order of addresses.
///
///     CFG name value
///     TS  seq off bytes64      64 bytes of tags, packed, from byte `off` of the window's; a dump has all 2048
///     DH  seq h0 .. h15        FNV-1a-64 of each 4 KiB page of the window's data
///     DB  seq off bytes64      64 bytes of data at offset `off` of the window
///     OP  seq mnem form insn xt xn xm imm utag ea gcr rgsr xt' xn' rgsr' nzcv' esr far
///
/// `insn` has the registers x0 = xt, x1 = xn and x2 = xm, before it and (') after it. `form` is off, pre, post or none,
/// `imm` the offset in bytes, `utag` the tag offset of ADDG and SUBG, `ea` the address that is used, or xn. NZCV is 0
/// before. `gcr` is what Linux makes of the mask of PR_SET_TAGGED_ADDR_CTRL. A user cannot read RGSR_EL1: it is given
/// as 0, and of IRG's tag one can say which it may be. `esr` and `far` are 0 unless the instruction faulted; then nothing
/// has changed.
/// Tag checks are off. The window has data[off] = ((off ^ (off >> 8)) * 0x9d + 0x35) & 0xff and the packed tags
/// (i * 0x3b + 0x17) & 0xff at first. `seq` counts the lines OP from 0; before a dump it is the next one's.
#include "mte.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { window_size = 0x10000, tags_size = window_size / 32, operations_of_dump = 48, line_size = 64 };

static char *const window = (char *)0x44000000;
/// GCR_EL1.RRND, which Linux sets.
static const uint32_t random_generation = 1U << 16;

struct registers {
    uint64_t xt, xn, xm, nzcv;
};

/// The window for the one instruction, which a return follows.
static uint32_t *code;
static uint64_t random_state;
static uint32_t excluded = 0xffff;

static uint64_t draw(void) {
    return next_random(&random_state) * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t limit) {
    return (draw() >> 20) % limit;
}

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

// MARK: Running an instruction

static sigjmp_buf before_instruction;
static volatile uint64_t fault_syndrome, fault_address;

/// The syndrome is a record in the signal's frame.
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    ucontext_t *user = context;
    fault_address = (uint64_t)info->si_addr;
    unsigned char *record = user->uc_mcontext.__reserved;
    struct _aarch64_ctx head;
    for (;; record += head.size) {
        memcpy(&head, record, sizeof head);
        if (head.magic == ESR_MAGIC)
            memcpy((void *)&fault_syndrome, record + offsetof(struct esr_context, esr), sizeof fault_syndrome);
        if (head.magic == 0 || head.magic == ESR_MAGIC)
            break;
    }
    siglongjmp(before_instruction, 1);
}

static void run(uint32_t instruction, struct registers *registers) {
    code[0] = instruction;
    code[1] = 0xd65f03c0;
    __builtin___clear_cache((char *)code, (char *)(code + 2));
    fault_syndrome = fault_address = 0;
    if (sigsetjmp(before_instruction, 1) != 0)
        return;
    register uint64_t x0 __asm__("x0") = registers->xt;
    register uint64_t x1 __asm__("x1") = registers->xn;
    register uint64_t x2 __asm__("x2") = registers->xm;
    uint64_t flags;
    __asm__ volatile("msr nzcv, xzr\n\tblr %4\n\tmrs %3, nzcv"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "=&r"(flags)
                     : "r"(code)
                     : "x30", "cc", "memory");
    *registers = (struct registers){x0, x1, x2, flags >> 28};
}

// MARK: Dumps

static void print_bytes(const char *bytes) {
    for (unsigned i = 0; i < line_size; i++)
        printf("%02x", (unsigned char)bytes[i]);
    printf("\n");
}

static uint64_t hash(const char *page) {
    uint64_t value = 0xcbf29ce484222325;
    for (unsigned i = 0; i < page_size; i++)
        value = (value ^ (unsigned char)page[i]) * 0x100000001b3;
    return value;
}

static void dump(unsigned sequence) {
    static char tags[tags_size];
    for (unsigned i = 0; i < tags_size; i++)
        tags[i] = (char)(memory_tag(window + 32 * i) | memory_tag(window + 32 * i + 16) << 4);
    for (unsigned i = 0; i < tags_size; i += line_size) {
        printf("TS %08x %04x ", sequence, i);
        print_bytes(tags + i);
    }
    printf("DH %08x", sequence);
    for (unsigned i = 0; i < window_size; i += page_size)
        printf(" %016llx", (unsigned long long)hash(window + i));
    printf("\n");
    for (unsigned i = 0; i < 4; i++) {
        unsigned offset = (unsigned)below(window_size / line_size) * line_size;
        printf("DB %08x %04x ", sequence, offset);
        print_bytes(window + offset);
    }
}

// MARK: Operations

enum kind { of_registers, of_tag_offset, of_memory, of_pair };

struct operation {
    const char *name;
    uint32_t opcode;
    enum kind kind;
    /// What it stores, or LDG's granule.
    unsigned size;
    unsigned weight;
};

static const struct operation operations[] = {
    {"IRG", 0x9ac01000, of_registers, 0, 6},      {"GMI", 0x9ac01400, of_registers, 0, 3},
    {"SUBP", 0x9ac00000, of_registers, 0, 3},     {"SUBPS", 0xbac00000, of_registers, 0, 4},
    {"ADDG", 0x91800000, of_tag_offset, 0, 5},    {"SUBG", 0xd1800000, of_tag_offset, 0, 5},
    {"STG", 0xd9200000, of_memory, 16, 4},        {"STZG", 0xd9600000, of_memory, 16, 4},
    {"ST2G", 0xd9a00000, of_memory, 32, 4},       {"STZ2G", 0xd9e00000, of_memory, 32, 4},
    {"STGP", 0x68000000, of_pair, 16, 5},         {"LDG", 0xd9600000, of_memory, 16, 5},
};

static const char *const forms[] = {"none", "post", "off", "pre"};

/// An instruction with its registers, and what the log says of it.
struct instance {
    uint32_t instruction;
    struct registers registers;
    int64_t offset;
    unsigned tag_offset, form;
    uint64_t address;
};

static void choose_registers(struct instance *instance, const struct operation *operation) {
    struct registers *registers = &instance->registers;
    instance->instruction |= 2U << 16 | 1U << 5;
    registers->xn = draw();
    registers->xm = draw();
    // Masks of a few tags, of all, and none; pointers that are close to each other.
    if (operation->opcode == 0x9ac01000 && below(4) != 0)
        registers->xm = below(3) == 0 ? 0 : below(8) == 0 ? 0xffff : draw() & draw() & 0xffff;
    if (operation->name[0] == 'S' && below(3) == 0)
        registers->xm = (registers->xn ^ draw() << 56) + (below(3) - 1);
    instance->address = registers->xn;
}

static void choose_tag_offset(struct instance *instance) {
    instance->offset = (int64_t)below(64) * granule_size;
    instance->tag_offset = (unsigned)below(16);
    instance->instruction |= (uint32_t)(instance->offset / granule_size) << 16 | instance->tag_offset << 10 | 1U << 5;
    instance->registers.xn = below(2) == 0 ? draw() : draw() << 56 | ((uint64_t)window + below(window_size));
    instance->address = instance->registers.xn;
}

/// An address in the window, one in sixteen unaligned, and the register that gives it.
static void choose_address(struct instance *instance, const struct operation *operation) {
    bool load = operation->name[0] == 'L';
    unsigned bits = operation->kind == of_pair ? 7 : 9;
    uint64_t offset = below((window_size - operation->size) / granule_size + 1) * granule_size;
    if (load || (below(16) == 0 && offset + operation->size < window_size))
        offset += below(granule_size);
    instance->form = load ? 2 : 1 + (unsigned)below(3);
    instance->offset = below(4) == 0 ? 0 : ((int64_t)below(1U << bits) - (1 << (bits - 1))) * granule_size;
    instance->address = draw() << 56 | ((uint64_t)window + offset);
    // Carries of the offset stay below the tag.
    instance->registers.xn = instance->form == 1 ? instance->address : instance->address - (uint64_t)instance->offset;
    uint32_t field = (uint32_t)(instance->offset / granule_size) & ((1U << bits) - 1);
    if (operation->kind == of_pair) {
        // Post-index, offset, pre-index.
        instance->instruction |= instance->form << 23 | field << 15 | 2U << 10 | 1U << 5;
    } else {
        instance->instruction |= (load ? 0 : instance->form << 10) | field << 12 | 1U << 5;
    }
}

static void log_operation(unsigned sequence, const struct operation *operation) {
    struct instance instance = {.instruction = operation->opcode, .registers = {.xt = draw(), .xm = draw()}};
    if (operation->kind == of_registers)
        choose_registers(&instance, operation);
    else if (operation->kind == of_tag_offset)
        choose_tag_offset(&instance);
    else
        choose_address(&instance, operation);
    struct registers after = instance.registers;
    run(instance.instruction, &after);
    printf("OP %08x %s %s %08x %016llx %016llx %016llx %016llx %x %016llx %08x %08x %016llx %016llx %08x %x %08llx "
           "%016llx\n",
           sequence, operation->name, forms[instance.form], instance.instruction,
           (unsigned long long)instance.registers.xt, (unsigned long long)instance.registers.xn,
           (unsigned long long)instance.registers.xm, (unsigned long long)instance.offset, instance.tag_offset,
           (unsigned long long)instance.address, random_generation | excluded, 0, (unsigned long long)after.xt,
           (unsigned long long)after.xn, 0, (unsigned)after.nzcv, (unsigned long long)fault_syndrome,
           (unsigned long long)fault_address);
}

/// Another mask now and then: none, all, single ones, and random ones.
static void choose_mask(void) {
    uint32_t included = (uint32_t)draw() & 0xffff;
    switch (below(4)) {
    case 0: included = below(2) == 0 ? 0 : 0xffff; break;
    case 1: included = 1U << below(16); break;
    }
    if (set_mode(PR_MTE_TCF_NONE, included) != 0)
        fail("PR_SET_TAGGED_ADDR_CTRL");
    excluded = ~included & 0xffff;
}

static const struct operation *choose_operation(void) {
    unsigned total = 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        total += operations[i].weight;
    uint64_t choice = below(total);
    const struct operation *operation = operations;
    for (; choice >= operation->weight; operation++)
        choice -= operation->weight;
    return operation;
}

static void prepare(void) {
    code = mmap(NULL, page_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *mapped = mmap(window, window_size, PROT_READ | PROT_WRITE | PROT_MTE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (code == MAP_FAILED || mapped != window)
        fail("mmap");
    for (unsigned i = 0; i < window_size; i++)
        window[i] = (char)((i ^ i >> 8) * 0x9d + 0x35);
    for (unsigned i = 0; i < tags_size; i++) {
        unsigned packed = (i * 0x3b + 0x17) & 0xff;
        set_tags(window + 32 * i, granule_size, packed & 15);
        set_tags(window + 32 * i + 16, granule_size, packed >> 4);
    }
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_EXPOSE_TAGBITS};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: mte-log SEED COUNT\n");
        return 2;
    }
    random_state = (strtoull(arguments[1], NULL, 0) + 1) * 0x9e3779b97f4a7c15 | 1;
    unsigned total = (unsigned)strtoul(arguments[2], NULL, 0);
    prepare();
    printf("CFG win_base %016llx\nCFG win_size %016x\nCFG rgsr_known 0\n", (unsigned long long)window, window_size);
    choose_mask();
    for (unsigned sequence = 0; sequence < total; sequence++) {
        if (sequence % operations_of_dump == 0)
            dump(sequence);
        if (below(16) == 0)
            choose_mask();
        log_operation(sequence, choose_operation());
    }
    dump(total);
    return 0;
}
