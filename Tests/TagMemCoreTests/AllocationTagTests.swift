import TestSupport
import Testing

@testable import TagMemCore

/// Tags in DRAM against an array with one element a granule.
@Suite("Allocation tags", .repeatable) struct AllocationTagTests {
    /// Where the exhaustive tests work: the border of two tag pages of data A.
    static let base = PhysicalAddress(0x40000 - 256)
    static let granules = 40

    static func tag(_ value: Int) -> AllocationTag { AllocationTag(truncating: UInt64(value)) }

    private static func tags(_ dram: DRAM, at start: PhysicalAddress, granules: Int) -> [UInt8] {
        (0..<granules).map { dram.allocationTag(at: start + UInt64($0) * 16).rawValue }
    }

    @Test("the low nibble of a tag byte is the granule with address bit 4 = 0")
    func packing() throws {
        let dram = try Machine.make()
        dram.setAllocationTag(Self.tag(0xa), at: PhysicalAddress(0x20040))
        dram.setAllocationTag(Self.tag(0x5), at: PhysicalAddress(0x2005f))
        dram.setAllocationTag(Self.tag(0xc), at: PhysicalAddress(0xa0010))
        #expect(dram.bytes(at: PhysicalAddress(0x80000), count: 4) == [0, 0, 0x5a, 0])
        #expect(dram.bytes(at: PhysicalAddress(0xc1000), count: 2) == [0xc0, 0])
        // Tag storage is memory: what is written there is the tags.
        dram.setBytes([0x3e], at: PhysicalAddress(0x82000 + 0xfff))
        #expect(dram.allocationTag(at: PhysicalAddress(0x7ffe8)).rawValue == 0xe)
        #expect(dram.allocationTag(at: PhysicalAddress(0x7ffff)).rawValue == 0x3)
    }

    @Test("one tag is set without its neighbours, and read back at every byte of the granule")
    func single() throws {
        let dram = try Machine.make()
        for granule in 0..<8 {
            for value in 0..<16 {
                for background in [0x0, 0xf] {
                    dram.fillTags(Self.tag(background), at: Self.base, count: 128)
                    var model = [UInt8](repeating: UInt8(background), count: 8)
                    model[granule] = UInt8(value)
                    let start = Self.base + UInt64(granule) * 16
                    dram.setAllocationTag(Self.tag(value), at: start + UInt64(value))
                    #expect(Self.tags(dram, at: Self.base, granules: 8) == model)
                    for offset in 0..<16 {
                        #expect(dram.allocationTag(at: start + UInt64(offset)).rawValue == UInt8(value))
                    }
                }
            }
        }
    }

    @Test("a fill sets the tag of every granule that it touches, of every small range")
    func fillExhaustively() throws {
        let dram = try Machine.make()
        for offset in 0..<64 {
            for count in 0..<200 {
                let value = (offset + count) % 15 + 1
                dram.fillTags(Self.tag(0), at: Self.base, count: Self.granules * 16)
                dram.fillTags(Self.tag(value), at: Self.base + UInt64(offset), count: count)
                let model = (0..<Self.granules).map { granule in
                    let touched = granule * 16 < offset + count && offset < granule * 16 + 16 && count > 0
                    return touched ? UInt8(value) : 0
                }
                guard Self.tags(dram, at: Self.base, granules: Self.granules) == model else {
                    Issue.record("fill of \(count) bytes at offset \(offset)")
                    return
                }
            }
        }
    }

    /// What `firstMismatch` must return, from the tags one by one.
    static func mismatch(
        of tag: AddressTag, in dram: DRAM, at address: PhysicalAddress, count: Int
    ) -> PhysicalAddress? {
        (0..<count).lazy.map { address + UInt64($0) }.first {
            dram.allocationTag(at: $0).rawValue != tag.rawValue
        }
    }

    @Test("a check finds a single mismatch at each granule of every small range, and none outside of it")
    func checkExhaustively() throws {
        let dram = try Machine.make()
        let wanted = AddressTag(truncating: 6)
        dram.fillTags(Self.tag(6), at: Self.base, count: Self.granules * 16)
        for mismatching in 0..<Self.granules {
            let granule = mismatching * 16
            // One bit of difference, each of the four in turn.
            dram.setAllocationTag(Self.tag(6 ^ 1 << (mismatching % 4)), at: Self.base + UInt64(granule))
            for offset in 0..<64 {
                for count in 0..<200 {
                    let touched = granule < offset + count && offset < granule + 16 && count > 0
                    let expected = touched ? Self.base + UInt64(max(offset, granule)) : nil
                    let found = dram.firstMismatch(
                        of: wanted, at: Self.base + UInt64(offset), count: count)
                    guard found == expected else {
                        Issue.record("\(count) bytes at offset \(offset), mismatch at granule \(mismatching)")
                        return
                    }
                }
            }
            dram.setAllocationTag(Self.tag(6), at: Self.base + UInt64(granule))
        }
    }

    @Test("a check finds the first of several mismatches at any distance")
    func checkDistances() throws {
        let dram = try Machine.make()
        let start = PhysicalAddress(0x20000)
        let wanted = AddressTag(truncating: 9)
        let size = 16 << 10
        dram.fillTags(Self.tag(9), at: start, count: size)
        // From the last granule down, so that each mismatch is followed by others.
        for granule in stride(from: size / 16 - 1, through: 0, by: -1) {
            dram.setAllocationTag(Self.tag(granule % 9), at: start + UInt64(granule) * 16)
            let expected = start + UInt64(granule) * 16
            #expect(dram.firstMismatch(of: wanted, at: start, count: size) == expected)
        }
    }

    @Test("a check reaches the last granule of a region")
    func checkRegionEnd() throws {
        let dram = try Machine.make()
        let end = PhysicalAddress(0x60000)
        dram.setAllocationTag(Self.tag(1), at: PhysicalAddress(0x5fff0))
        for count in 1...8192 {
            let found = dram.firstMismatch(
                of: AddressTag(truncating: 0), at: PhysicalAddress(end.rawValue - UInt64(count)), count: count
            )
            #expect(found == PhysicalAddress(max(0x5fff0, end.rawValue - UInt64(count))))
        }
    }

    @Test("any fills, stores and checks agree with one tag a granule")
    func random() throws {
        let dram = try Machine.make()
        withSeed { generator in
            let start = PhysicalAddress(0x60000)
            let size = 0x20000
            var model = [UInt8](repeating: 0, count: size / 16)
            for _ in 0..<3000 {
                let count = min(Int(generator.bits(Int.random(in: 0...13, using: &generator))), size)
                let offset = Int.random(in: 0...(size - count), using: &generator)
                let address = start + UInt64(offset)
                // Few tags, so that checks match often enough.
                let value = UInt64.random(in: 0...2, using: &generator) * 7
                let touched = count == 0 ? 0..<0 : offset / 16..<(offset + count - 1) / 16 + 1
                if generator.oneIn(2) {
                    dram.fillTags(AllocationTag(truncating: value), at: address, count: count)
                    for granule in touched { model[granule] = UInt8(value) }
                } else {
                    let found = dram.firstMismatch(
                        of: AddressTag(truncating: value), at: address, count: count)
                    let expected = touched.first { model[$0] != UInt8(value) }.map {
                        start + UInt64(max($0 * 16, offset))
                    }
                    #expect(found == expected)
                }
            }
            #expect(Self.tags(dram, at: start, granules: size / 16) == model)
            // Nothing but the region's tags was written.
            #expect(dram.bytes(at: PhysicalAddress(0x20000), count: 0x40000).allSatisfy { $0 == 0 })
            #expect(dram.bytes(at: PhysicalAddress(0x80000), count: 0x2000).allSatisfy { $0 == 0 })
            #expect(dram.bytes(at: PhysicalAddress(0x83000), count: 0x1000).allSatisfy { $0 == 0 })
        }
    }
}
