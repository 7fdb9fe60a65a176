import TestSupport
import Testing

@testable import TagMemCore

/// Instructions that access memory: each alone, then all against `NaiveMachine`.
@Suite("Tag instructions on memory", .repeatable) struct TagInstructionsMemoryTests {
    let dram: DRAM
    let unit: TagInstructions
    /// Data and tag bytes of ones around the address that most tests use.
    let base = PhysicalAddress(0x30000)
    let tags = PhysicalAddress(0x80800)

    init() throws {
        dram = try Machine.make()
        unit = TagInstructions(dram: dram)
        dram.setBytes(Array(repeating: 0xff, count: 8192), at: base)
        dram.setBytes(Array(repeating: 0xff, count: 256), at: tags)
    }

    private func pointer(_ address: UInt64, _ tag: UInt64 = 0) -> TaggedPointer {
        TaggedPointer(rawValue: address | tag << 56)
    }

    private func tagBytes(_ count: Int) -> [UInt8] { dram.bytes(at: tags, count: count) }

    private func dataIsZero(_ range: Range<Int>) -> Bool {
        dram.bytes(at: base, count: 4096).enumerated().allSatisfy {
            $0.element == (range.contains($0.offset) ? 0 : 0xff)
        }
    }

    @Test("STG and LDG: one granule, any top byte, any byte of the granule for the load")
    func single() throws {
        try unit.stg(pointer(0xdead, 0xa3), at: pointer(0x30010, 0x5e))
        #expect(tagBytes(2) == [0x3f, 0xff])
        #expect(dataIsZero(0..<0))
        for offset: UInt64 in 0x10...0x1f {
            let loaded = try unit.ldg(pointer(0x1234, 0x9c), at: pointer(0x30000 + offset, 0xf7))
            #expect(loaded == pointer(0x1234, 0x93))
        }
        #expect(try unit.ldg(pointer(0), at: pointer(0x30020)).addressTag.rawValue == 0xf)
    }

    @Test("ST2G: two granules, of one tag byte or of two")
    func pair() throws {
        try unit.st2g(pointer(0, 2), at: pointer(0x30000))
        try unit.st2g(pointer(0, 7), at: pointer(0x30030))
        #expect(tagBytes(4) == [0x22, 0x7f, 0xf7, 0xff])
        #expect(dataIsZero(0..<0))
    }

    @Test("STZG and STZ2G zero what they tag")
    func zeroing() throws {
        try unit.stzg(pointer(0, 4), at: pointer(0x30020))
        #expect(tagBytes(3) == [0xff, 0xf4, 0xff])
        #expect(dataIsZero(32..<48))
        try unit.stz2g(pointer(0, 5), at: pointer(0x30030))
        #expect(tagBytes(4) == [0xff, 0x54, 0xf5, 0xff])
        #expect(dataIsZero(32..<80))
    }

    @Test("STGP: the pair in order, little-endian, and the address's own tag")
    func storePair() throws {
        try unit.stgp(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908, at: pointer(0x30010, 0xb6))
        #expect(dram.bytes(at: base, count: 33) == Array(repeating: 0xff, count: 16) + (0..<16) + [0xff])
        #expect(tagBytes(2) == [0x6f, 0xff])
    }

    @Test("LDGM and STGM: sixteen tags in the order of addresses, from any address of the block")
    func multiple() throws {
        try unit.stgm(0xfedc_ba98_7654_3210, at: pointer(0x301f7, 9))
        #expect(
            tagBytes(17) == Array(repeating: 0xff, count: 8) + [
                0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0xff,
            ])
        #expect(try unit.ldgm(at: pointer(0x30100)) == 0xfedc_ba98_7654_3210)
        #expect(try unit.ldgm(at: pointer(0x30200)) == .max)
        #expect(dataIsZero(0..<0))
    }

    @Test("smaller blocks use their part of the register", arguments: 2...6)
    func smallerMultiple(field: Int) throws {
        let block = try #require(TagMultipleBlock(rawValue: field))
        #expect(block.size == 4 << field)
        let unit = TagInstructions(dram: dram, tagMultipleBlock: block)
        let granules = block.size / 16
        for start in stride(from: 0, to: 256, by: block.size) {
            dram.setBytes(Array(repeating: 0xff, count: 256), at: tags)
            try unit.stgm(0x0123_4567_89ab_cdef, at: pointer(0x30000 + UInt64(start + block.size - 1)))
            for granule in 0..<32 {
                let isInside = (start / 16..<start / 16 + granules).contains(granule)
                let tag = dram.allocationTag(at: base + UInt64(granule) * 16).rawValue
                #expect(tag == (isInside ? UInt8(15 - granule) : 15))
            }
            let mask = (granules == 16 ? .max : 1 << UInt64(granules * 4) - 1) << UInt64(start / 4)
            #expect(try unit.ldgm(at: pointer(0x30000 + UInt64(start))) == 0x0123_4567_89ab_cdef & mask)
        }
    }

    @Test("block sizes that the architecture does not have are refused")
    func blockSizes() {
        #expect((-1...16).filter { TagMultipleBlock(rawValue: $0) != nil } == [2, 3, 4, 5, 6])
        #expect((-1...16).filter { ZeroBlock(rawValue: $0) != nil } == [2, 3, 4, 5, 6, 7, 8, 9])
        #expect(TagMultipleBlock.bytes256.size == 256)
        #expect(ZeroBlock.bytes64.size == 64)
    }

    @Test("STZGM, DC GVA, DC GZVA and DC ZVA on their block", arguments: 2...9)
    func zeroBlock(field: Int) throws {
        let block = try #require(ZeroBlock(rawValue: field))
        #expect(block.size == 4 << field)
        let unit = TagInstructions(dram: dram, zeroBlock: block)
        let size = block.size
        let last = 0x30000 + UInt64(2 * size - 1)
        func expect(tag: UInt8, zeroed: Bool, _ comment: Comment) {
            let found = (0..<4096 / 16).map { dram.allocationTag(at: base + UInt64($0) * 16).rawValue }
            let expected = (0..<4096 / 16).map { (size..<2 * size).contains($0 * 16) ? tag : 0xf }
            #expect(found == expected, comment)
            #expect(dataIsZero(zeroed ? size..<2 * size : 0..<0), comment)
        }
        try unit.dcGVA(pointer(last, 0x83))
        expect(tag: 3, zeroed: false, "DC GVA")
        try unit.dcZVA(pointer(last, 0x84))
        expect(tag: 3, zeroed: true, "DC ZVA")
        dram.setBytes(Array(repeating: 0xff, count: 4096), at: base)
        try unit.dcGZVA(pointer(last, 0x85))
        expect(tag: 5, zeroed: true, "DC GZVA")
        dram.setBytes(Array(repeating: 0xff, count: 4096), at: base)
        // The tag is in the register's low bits, not where a pointer has it.
        try unit.stzgm(0x0c00_0000_0000_00f6, at: pointer(last, 0x87))
        expect(tag: 6, zeroed: true, "STZGM")
    }

    @Test("the stores of tags need alignment; the fault has the pointer, before any hole")
    func alignment() {
        for start: UInt64 in [0x30000, 0x90000] {
            for offset: UInt64 in 1..<16 {
                let address = pointer(start + offset, 0x96)
                let fault = MemoryFault.misaligned(address)
                let before = dram.snapshot()
                #expect(throws: fault) { try unit.stg(pointer(0), at: address) }
                #expect(throws: fault) { try unit.st2g(pointer(0), at: address) }
                #expect(throws: fault) { try unit.stzg(pointer(0), at: address) }
                #expect(throws: fault) { try unit.stz2g(pointer(0), at: address) }
                #expect(throws: fault) { try unit.stgp(0, 0, at: address) }
                #expect(dram.snapshot() == before)
            }
        }
        #expect(MemoryFault.misaligned(pointer(1)).description.contains("0x1"))
    }

    @Test("an access that reaches into a hole names its first byte and changes nothing")
    func holes() {
        // Tag storage, then a hole: the first granule is there.
        let before = dram.snapshot()
        let hole = MemoryFault.noMemory(PhysicalAddress(0x84000))
        #expect(throws: hole) { try unit.stz2g(pointer(0, 1), at: pointer(0x83ff0, 3)) }
        #expect(throws: hole) { try unit.st2g(pointer(0, 1), at: pointer(0x83ff0, 3)) }
        for kind in MemoryOperation.Kind.allCases {
            for address: UInt64 in [0x84000, 0x9ff00, 0xc2000, 0x00ff_ffff_ffff_ff00] {
                let operation = MemoryOperation(kind: kind, address: address | 0xa5 << 56)
                #expect(throws: MemoryFault.noMemory(PhysicalAddress(address))) {
                    try operation.execute(on: dram)
                }
            }
        }
        #expect(dram.snapshot() == before)
        #expect(hole.description.contains("0x84000"))
    }

    @Test("tag storage has no tags: they read as 0, writes of them do nothing, data effects happen")
    func tagStorage() throws {
        let address: UInt64 = 0x81000
        let start = PhysicalAddress(address)
        let ones = [UInt8](repeating: 0xff, count: 256)
        dram.setBytes(ones, at: start)
        let before = dram.snapshot()
        #expect(try unit.ldg(pointer(1, 0x77), at: pointer(address)) == pointer(1, 0x70))
        #expect(try unit.ldgm(at: pointer(address)) == 0)
        try unit.stg(pointer(0, 3), at: pointer(address))
        try unit.st2g(pointer(0, 3), at: pointer(address))
        try unit.stgm(0x3333, at: pointer(address))
        try unit.dcGVA(pointer(address, 3))
        #expect(dram.snapshot() == before)
        try unit.stzg(pointer(0, 3), at: pointer(address))
        #expect(dram.bytes(at: start, count: 17) == Array(repeating: 0, count: 16) + [0xff])
        try unit.stz2g(pointer(0, 3), at: pointer(address))
        #expect(dram.bytes(at: start, count: 33) == Array(repeating: 0, count: 32) + [0xff])
        try unit.stgp(0x1111_1111_1111_1111, 0x2222_2222_2222_2222, at: pointer(address, 3))
        #expect(
            dram.bytes(at: start, count: 16) == Array(repeating: 0x11, count: 8)
                + Array(repeating: 0x22, count: 8))
        for zero in [{ try unit.stzgm(3, at: $0) }, unit.dcGZVA, unit.dcZVA]
            as [(TaggedPointer) throws -> Void]
        {
            dram.setBytes(ones, at: start)
            try zero(pointer(address, 3))
            #expect(dram.bytes(at: start, count: 65) == Array(repeating: 0, count: 64) + [0xff])
        }
    }

    @Test("two granules may lie in two regions, each with its own tags or none")
    func straddling() throws {
        // Data A and data B: their tags are 0x2000 apart.
        try unit.st2g(pointer(0, 9), at: pointer(0x5fff0))
        #expect(dram.bytes(at: PhysicalAddress(0x81fff), count: 2) == [0x90, 0x09])
        // Data B and tag storage: its first 16 bytes are tags of data A, and are zeroed as data.
        for start: UInt64 in [0x7ffe0, 0x80000] {
            dram.setBytes(Array(repeating: 0xee, count: 32), at: PhysicalAddress(start))
        }
        try unit.stz2g(pointer(0, 8), at: pointer(0x7fff0))
        let below = dram.bytes(at: PhysicalAddress(0x7ffe0), count: 32)
        #expect(below == Array(repeating: 0xee, count: 16) + Array(repeating: 0, count: 16))
        let above = dram.bytes(at: PhysicalAddress(0x80000), count: 32)
        #expect(above == Array(repeating: 0, count: 16) + Array(repeating: 0xee, count: 16))
        #expect(dram.bytes(at: PhysicalAddress(0x82fff), count: 2) == [0x80, 0])
    }

    @Test("any sequence of instructions leaves memory as plain arithmetic says")
    func random() throws {
        let dram = try Machine.make()
        var model = NaiveMachine()
        let borders: [UInt64] = [0x20000, 0x60000, 0x80000, 0x80800, 0x84000, 0xa0000, 0xc0000, 0xc2000]
        var faults = 0
        withSeed { generator in
            // Bytes that are not zero, so that zeroing shows; tag storage included.
            for region in Machine.regions {
                let bytes = (0..<region.size).map { _ in UInt8(generator.bits(8)) }
                dram.setBytes(bytes, at: region.start)
                model.bytes.replaceSubrange(
                    Int(region.start.rawValue)..<Int(region.end.rawValue), with: bytes)
            }
            for _ in 0..<4000 {
                let operation = Self.operation(near: borders, using: &generator)
                let expected = Result { () throws(MemoryFault) in try model.execute(operation) }
                let found = Result { () throws(MemoryFault) in try operation.execute(on: dram) }
                #expect(found == expected, "\(operation)")
                if case .failure = found { faults += 1 }
            }
            for (region, bytes) in zip(Machine.regions, dram.snapshot()) {
                #expect(bytes == Array(model.bytes[Int(region.start.rawValue)..<Int(region.end.rawValue)]))
            }
        }
        #expect((400..<3600).contains(faults), "\(faults) of 4000 operations faulted")
    }

    private static func operation(
        near borders: [UInt64], using generator: inout SeededGenerator
    ) -> MemoryOperation {
        // Half of them around a border, most of them aligned.
        var address = generator.bits(20)
        if generator.oneIn(2), let border = borders.randomElement(using: &generator) {
            address = border - 512 + generator.bits(10)
        }
        if !generator.oneIn(8) { address &= ~15 }
        var operation = MemoryOperation(kind: .ldg, address: address | generator.bits(8) << 56)
        if let kind = MemoryOperation.Kind.allCases.randomElement(using: &generator) { operation.kind = kind }
        operation.low = generator.next()
        operation.high = generator.next()
        operation.multipleBlock = 16 << Int.random(in: 0...4, using: &generator)
        operation.zeroBlock = 16 << Int.random(in: 0...7, using: &generator)
        return operation
    }

    @Test("tags of neighbouring granules can be stored at the same time")
    func concurrentNeighbours() async throws {
        let dram = self.dram
        let lost = await withTaskGroup(of: Int.self) { group in
            for granule in 0..<2 {
                group.addTask {
                    let address = PhysicalAddress(0x30000 + UInt64(granule) * 16)
                    return (0..<200_000).count { round in
                        let tag = AllocationTag(truncating: UInt64(round))
                        dram.setAllocationTag(tag, at: address)
                        return dram.allocationTag(at: address) != tag
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(lost == 0)
    }
}
