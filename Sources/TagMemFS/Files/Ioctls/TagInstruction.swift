import CTagMemABI
import TagMemCore

/// A tag instruction, by its ioctl: its mnemonic and its registers.
struct TagInstruction {
    enum Mnemonic {
        case irg, addg, subg, gmi
        case ldg, stg, st2g, stzg, stz2g, stgp
        case ldgm, stgm, stzgm, dcGVA, dcGZVA
    }

    let mnemonic: Mnemonic
    /// The mnemonic's TAGMEM_….
    let operation: UInt32
    let offset: UInt64
    let tagOffset: UInt8
    let xt, xn, xm: UInt64

    /// - Throws: `.invalid` for an unknown operation, a field that the operation does not have and that is not 0, or an
    ///   offset that cannot be encoded.
    init(_ instruction: tagmem_instruction) throws(FileError) {
        guard let mnemonic = Self.mnemonic(instruction.operation), instruction.reserved == 0 else {
            throw .invalid
        }
        let hasOffset = mnemonic == .addg || mnemonic == .subg
        guard instruction.offset % 16 == 0, instruction.offset < 1024, instruction.tag_offset < 16,
            hasOffset || instruction.offset == 0 && instruction.tag_offset == 0
        else { throw .invalid }
        self.mnemonic = mnemonic
        operation = instruction.operation
        offset = UInt64(instruction.offset)
        tagOffset = instruction.tag_offset
        (xt, xn, xm) = (instruction.xt, instruction.xn, instruction.xm)
    }

    private static func mnemonic(_ operation: UInt32) -> Mnemonic? {
        switch tagmem_operation(rawValue: operation) {
        case TAGMEM_IRG: .irg
        case TAGMEM_ADDG: .addg
        case TAGMEM_SUBG: .subg
        case TAGMEM_GMI: .gmi
        case TAGMEM_LDG: .ldg
        case TAGMEM_STG: .stg
        case TAGMEM_ST2G: .st2g
        case TAGMEM_STZG: .stzg
        case TAGMEM_STZ2G: .stz2g
        case TAGMEM_STGP: .stgp
        case TAGMEM_LDGM: .ldgm
        case TAGMEM_STGM: .stgm
        case TAGMEM_STZGM: .stzgm
        case TAGMEM_DC_GVA: .dcGVA
        case TAGMEM_DC_GZVA: .dcGZVA
        default: nil
        }
    }

    // MARK: Memory

    private static let blockOfTags = TagMultipleBlock.bytes256
    private static let zeroBlock = ZeroBlock.bytes64

    /// What it accesses: whole granules; nil if it computes pointers alone.
    var memory: (address: UInt64, count: Int, data: MemoryAccess.Effect, tags: MemoryAccess.Effect)? {
        let address = TaggedPointer(rawValue: xn).address
        func block(_ size: Int) -> UInt64 { address & ~(UInt64(size) - 1) }
        return switch mnemonic {
        case .irg, .addg, .subg, .gmi: nil
        case .ldg: (block(16), 16, .none, .load)
        case .stg: (address, 16, .none, .store)
        case .st2g: (address, 32, .none, .store)
        case .stzg: (address, 16, .zero, .store)
        case .stz2g: (address, 32, .zero, .store)
        case .stgp: (address, 16, .store, .store)
        case .ldgm: (block(Self.blockOfTags.size), Self.blockOfTags.size, .none, .load)
        case .stgm: (block(Self.blockOfTags.size), Self.blockOfTags.size, .none, .store)
        case .stzgm: (block(Self.zeroBlock.size), Self.zeroBlock.size, .zero, .store)
        case .dcGVA: (block(Self.zeroBlock.size), Self.zeroBlock.size, .none, .store)
        case .dcGZVA: (block(Self.zeroBlock.size), Self.zeroBlock.size, .zero, .store)
        }
    }

    /// Does it on a part of its memory, whole granules of one page. Returns `xt`.
    ///
    /// - Throws: `MemoryFault.noMemory`, which a part that is there does not.
    func execute(at address: PhysicalAddress, count: Int, _ unit: TagInstructions) throws(MemoryFault)
        -> UInt64
    {
        // Translation is done; the pointer keeps its tag.
        let pointer = TaggedPointer(address: address.rawValue, tag: TaggedPointer(rawValue: xn).addressTag)
        let source = TaggedPointer(rawValue: xt)
        switch mnemonic {
        case .irg, .addg, .subg, .gmi: break
        case .ldg: return try unit.ldg(source, at: pointer).rawValue
        case .stg, .st2g:
            if count == 32 { try unit.st2g(source, at: pointer) } else { try unit.stg(source, at: pointer) }
        case .stzg, .stz2g:
            if count == 32 { try unit.stz2g(source, at: pointer) } else { try unit.stzg(source, at: pointer) }
        case .stgp: try unit.stgp(xt, xm, at: pointer)
        case .ldgm: return try unit.ldgm(at: pointer)
        case .stgm: try unit.stgm(xt, at: pointer)
        case .stzgm: try unit.stzgm(xt, at: pointer)
        case .dcGVA: try unit.dcGVA(pointer)
        case .dcGZVA: try unit.dcGZVA(pointer)
        }
        return xt
    }

    // MARK: Pointers

    /// Does it on registers; nil if it accesses memory. IRG advances the generator.
    func execute(_ control: inout TagControl, _ dram: DRAM) -> UInt64? {
        var unit = TagInstructions(dram: dram, control: control)
        defer { control = unit.control }
        let pointer = TaggedPointer(rawValue: xn)
        return switch mnemonic {
        case .irg: unit.irg(pointer, excluding: xm).rawValue
        case .addg: unit.addg(pointer, offset: offset, tagOffset: tagOffset).rawValue
        case .subg: unit.subg(pointer, offset: offset, tagOffset: tagOffset).rawValue
        case .gmi: TagInstructions.gmi(pointer, mask: xm)
        default: nil
        }
    }
}
