@testable import TagMemCore

/// What the tag instructions that access memory must do, said as plainly as possible: a table of what each needs and
/// does, and one flat array of bytes, one granule after the other. Knows `Machine`'s addresses by heart.
struct NaiveMachine: Equatable {
    /// Of every physical address, holes included.
    var bytes = [UInt8](repeating: 0, count: 0xc4000)

    static func isMemory(_ address: UInt64) -> Bool {
        (0x20000..<0x84000).contains(address) || (0xa0000..<0xc2000).contains(address)
    }

    /// The tag byte of `address` and whether its tag is the high nibble; nil where there are no tags.
    static func tagPlace(_ address: UInt64) -> (byte: Int, isHigh: Bool)? {
        let isHigh = address % 32 >= 16
        switch address {
        case 0x20000..<0x60000: return (Int(0x80000 + (address - 0x20000) / 32), isHigh)
        case 0x60000..<0x80000: return (Int(0x82000 + (address - 0x60000) / 32), isHigh)
        case 0xa0000..<0xc0000: return (Int(0xc1000 + (address - 0xa0000) / 32), isHigh)
        default: return nil
        }
    }

    func tag(_ address: UInt64) -> UInt64 {
        guard let place = Self.tagPlace(address) else { return 0 }
        return UInt64(place.isHigh ? bytes[place.byte] / 16 : bytes[place.byte] % 16)
    }

    mutating func setTag(_ tag: UInt64, _ address: UInt64) {
        guard let place = Self.tagPlace(address) else { return }
        let (low, high) = (bytes[place.byte] % 16, bytes[place.byte] / 16)
        bytes[place.byte] = place.isHigh ? UInt8(tag) * 16 + low : high * 16 + UInt8(tag)
    }

    /// - Returns: LDG's and LDGM's result, 0 for the others.
    mutating func execute(_ operation: MemoryOperation) throws(MemoryFault) -> UInt64 {
        let address = operation.address & 0x00ff_ffff_ffff_ffff
        let addressTag = operation.address >> 56 & 15
        let valueTag = operation.low >> 56 & 15
        let zeroBlock = UInt64(operation.zeroBlock)
        let multiple = UInt64(operation.multipleBlock)
        let (start, count, needsAlignment, tag, data): (UInt64, UInt64, Bool, UInt64?, [UInt64]?) =
            switch operation.kind {
            case .ldg: (address / 16 * 16, 16, false, nil, nil)
            case .stg: (address, 16, true, valueTag, nil)
            case .st2g: (address, 32, true, valueTag, nil)
            case .stzg: (address, 16, true, valueTag, [0, 0])
            case .stz2g: (address, 32, true, valueTag, [0, 0, 0, 0])
            case .stgp: (address, 16, true, addressTag, [operation.low, operation.high])
            case .ldgm, .stgm: (address / multiple * multiple, multiple, false, nil, nil)
            case .stzgm:
                (address / zeroBlock * zeroBlock, zeroBlock, false, operation.low % 16, Self.zeros(zeroBlock))
            case .dcGVA: (address / zeroBlock * zeroBlock, zeroBlock, false, addressTag, nil)
            case .dcGZVA:
                (address / zeroBlock * zeroBlock, zeroBlock, false, addressTag, Self.zeros(zeroBlock))
            case .dcZVA: (address / zeroBlock * zeroBlock, zeroBlock, false, nil, Self.zeros(zeroBlock))
            }
        if needsAlignment, address % 16 != 0 {
            throw .misaligned(TaggedPointer(rawValue: operation.address))
        }
        if let hole = (start..<start + count).first(where: { !Self.isMemory($0) }) {
            throw .noMemory(PhysicalAddress(hole))
        }
        for (index, word) in (data ?? []).enumerated() {
            for byte in 0..<8 {
                bytes[Int(start) + index * 8 + byte] = UInt8(word >> UInt64(byte * 8) & 0xff)
            }
        }
        var result: UInt64 = 0
        for granule in stride(from: start, to: start + count, by: 16) {
            let place = granule % 256 / 16 * 4
            if let tag { setTag(tag, granule) }
            if operation.kind == .stgm { setTag(operation.low >> place & 15, granule) }
            if operation.kind == .ldgm { result |= self.tag(granule) << place }
        }
        if operation.kind == .ldg { result = operation.low & ~(15 << 56) | self.tag(start) << 56 }
        return result
    }

    private static func zeros(_ count: UInt64) -> [UInt64] { Array(repeating: 0, count: Int(count) / 8) }
}

/// One execution of an instruction that accesses memory.
struct MemoryOperation: Sendable {
    enum Kind: CaseIterable, Sendable {
        case ldg, stg, st2g, stzg, stz2g, stgp, ldgm, stgm, stzgm, dcGVA, dcGZVA, dcZVA
    }

    var kind: Kind
    /// With its top byte.
    var address: UInt64
    /// Xt; for STGP the first of the pair.
    var low: UInt64 = 0
    /// The second of STGP's pair.
    var high: UInt64 = 0
    var multipleBlock = 256
    var zeroBlock = 64

    /// - Returns: LDG's and LDGM's result, 0 for the others.
    func execute(on dram: DRAM) throws(MemoryFault) -> UInt64 {
        guard let multiple = TagMultipleBlock(rawValue: multipleBlock.trailingZeroBitCount - 2),
            let zero = ZeroBlock(rawValue: zeroBlock.trailingZeroBitCount - 2)
        else { preconditionFailure("no such block") }
        let unit = TagInstructions(dram: dram, tagMultipleBlock: multiple, zeroBlock: zero)
        let pointer = TaggedPointer(rawValue: address)
        let source = TaggedPointer(rawValue: low)
        switch kind {
        case .ldg: return try unit.ldg(source, at: pointer).rawValue
        case .stg: try unit.stg(source, at: pointer)
        case .st2g: try unit.st2g(source, at: pointer)
        case .stzg: try unit.stzg(source, at: pointer)
        case .stz2g: try unit.stz2g(source, at: pointer)
        case .stgp: try unit.stgp(low, high, at: pointer)
        case .ldgm: return try unit.ldgm(at: pointer)
        case .stgm: try unit.stgm(low, at: pointer)
        case .stzgm: try unit.stzgm(low, at: pointer)
        case .dcGVA: try unit.dcGVA(pointer)
        case .dcGZVA: try unit.dcGZVA(pointer)
        case .dcZVA: try unit.dcZVA(pointer)
        }
        return 0
    }
}
