import TagMemCore
import TestSupport
import Testing

@Suite("MemoryMap", .repeatable) struct MemoryMapTests {
    typealias Region = MemoryMap.Region
    static let block: UInt64 = 128 << 10

    static func data(_ start: UInt64, _ size: UInt64, tags: UInt64) -> Region {
        Region(start: PhysicalAddress(start), size: size, kind: .data(tagBase: PhysicalAddress(tags)))
    }

    static func storage(_ start: UInt64, _ size: UInt64) -> Region {
        Region(start: PhysicalAddress(start), size: size, kind: .tagStorage)
    }

    /// Each set of regions breaks one rule.
    static let refused: [(MemoryMapError, [Region])] = [
        (.noMemory, []),
        (.emptyRegion(at(0x2000)), [storage(0x2000, 0)]),
        (.emptyRegion(at(0)), [data(0, 0, tags: 0x100000), storage(0x100000, 0x1000)]),
        (.outOfRange(at(1 << 52), size: 0x1000), [storage(1 << 52, 0x1000)]),
        (.outOfRange(at((1 << 52) - 0x1000), size: 0x2000), [storage((1 << 52) - 0x1000, 0x2000)]),
        (.outOfRange(at(0x1000), size: .max), [storage(0x1000, .max)]),
        (.misaligned(at(0x1800), size: 0x1000), [storage(0x1800, 0x1000)]),
        (.misaligned(at(0x1000), size: 0x1800), [storage(0x1000, 0x1800)]),
        (
            .misaligned(at(0x1000), size: block),
            [data(0x1000, block, tags: 0x100000), storage(0x100000, 0x1000)]
        ),
        (.misaligned(at(0), size: 0x1000), [data(0, 0x1000, tags: 0x100000), storage(0x100000, 0x1000)]),
        // Tags that start within a page of tag storage.
        (.misaligned(at(0), size: block), [data(0, block, tags: 0x100800), storage(0x100000, 0x2000)]),
        (.overlap(at(0x2000)), [storage(0x1000, 0x2000), storage(0x2000, 0x1000)]),
        // Nowhere; in data memory; not all of them.
        (.tagStorageMissing(of: at(0)), [data(0, block, tags: 0x100000)]),
        (.tagStorageMissing(of: at(0)), [data(0, block, tags: 0)]),
        (.tagStorageMissing(of: at(0)), [data(0, 2 * block, tags: 0x100000), storage(0x100000, 0x1000)]),
        (.tagStorageMissing(of: at(0)), [data(0, 2 * block, tags: 0x101000), storage(0x100000, 0x2000)]),
        // Tags in two regions of tag storage that touch.
        (
            .tagStorageMissing(of: at(0)),
            [data(0, 2 * block, tags: 0x100000), storage(0x100000, 0x1000), storage(0x101000, 0x1000)]
        ),
        (
            .tagStorageShared(at(0x101000)),
            [
                data(0, 2 * block, tags: 0x100000), data(2 * block, block, tags: 0x101000),
                storage(0x100000, 0x2000),
            ]
        ),
    ]

    private static func at(_ address: UInt64) -> PhysicalAddress { PhysicalAddress(address) }

    @Test("regions that break a rule are refused", arguments: refused)
    func refusals(expected: MemoryMapError, regions: [Region]) {
        #expect(throws: expected) { try MemoryMap(regions: regions) }
        #expect(!expected.description.isEmpty)
    }

    @Test("regions are sorted; several data regions can share tag storage that is large enough")
    func regions() throws {
        let map = try MemoryMap(regions: [
            Self.storage(0x10_0000, 0x4000),
            Self.data(0x80_0000, Self.block, tags: 0x10_2000),
            Self.data(0, 2 * Self.block, tags: 0x10_0000),
        ])
        #expect(map.regions.map(\.start.rawValue) == [0, 0x10_0000, 0x80_0000])
        #expect(map.end.rawValue == 0x80_0000 + Self.block)
        #expect(map.dataSize == 3 * Self.block)
        #expect(map.tagStorageSize == 0x4000)
        #expect(map.regions[1].contains(PhysicalAddress(0x10_3fff)))
        #expect(!map.regions[1].contains(PhysicalAddress(0x10_4000)))
        #expect(!map.regions[1].contains(PhysicalAddress(0xf_ffff)))
    }

    @Test("memory may end at the last physical address")
    func lastAddress() throws {
        let map = try MemoryMap(regions: [Self.storage((1 << 52) - 0x1000, 0x1000)])
        #expect(map.end.rawValue == PhysicalAddress.limit)
    }

    @Test("the size is rounded up to Tag Blocks")
    func roundsUp() throws {
        for (size, expected): (UInt64, UInt64) in [
            (1, Self.block), (Self.block, Self.block), (Self.block + 1, 2 * Self.block),
            (1 << 30, 1 << 30),
        ] {
            let map = try MemoryMap(base: PhysicalAddress(0x4000_0000), size: size)
            #expect(map.dataSize == expected)
            #expect(map.tagStorageSize == expected / 32)
        }
    }

    @Test("a base or a size that cannot be is refused")
    func refusedSizes() {
        let base = PhysicalAddress(0x4000_0000)
        let limit = PhysicalAddress.limit
        #expect(throws: MemoryMapError.emptyRegion(base)) { try MemoryMap(base: base, size: 0) }
        #expect(throws: MemoryMapError.outOfRange(base, size: .max)) { try MemoryMap(base: base, size: .max) }
        #expect(throws: MemoryMapError.outOfRange(base, size: limit)) {
            try MemoryMap(base: base, size: limit)
        }
        let high = PhysicalAddress(limit - Self.block)
        #expect(throws: MemoryMapError.outOfRange(high, size: Self.block)) {
            try MemoryMap(base: high, size: 1)
        }
        // The data fits and its tags do not.
        let tags = PhysicalAddress(limit - 0x1000)
        let odd = PhysicalAddress(limit - 2 * Self.block)
        #expect(throws: MemoryMapError.outOfRange(odd, size: 2 * Self.block)) {
            try MemoryMap(base: odd, size: 2 * Self.block)
        }
        #expect(throws: MemoryMapError.outOfRange(tags, size: Self.block)) {
            try MemoryMap(base: tags, size: 1)
        }
        #expect(throws: MemoryMapError.misaligned(PhysicalAddress(0x1000), size: Self.block)) {
            try MemoryMap(base: PhysicalAddress(0x1000), size: 1)
        }
    }

    @Test("any base and size give data with its tags right behind")
    func standardMap() throws {
        try withSeed { generator in
            for _ in 0..<500 {
                let base = PhysicalAddress(generator.bits(40) & ~(Self.block - 1))
                let size = generator.bits(Int.random(in: 1...44, using: &generator)) + 1
                let map = try MemoryMap(base: base, size: size)
                try #require(map.regions.count == 2)
                let (data, storage) = (map.regions[0], map.regions[1])
                #expect(data.start == base)
                #expect(data.size >= size && data.size < size + Self.block && data.size % Self.block == 0)
                #expect(data.kind == .data(tagBase: data.end))
                #expect(storage.start == data.end && storage.kind == .tagStorage)
                #expect(storage.size * 32 == data.size)
                #expect(map.end == storage.end)
                // What the rules accept once, they accept again.
                #expect(try MemoryMap(regions: map.regions.reversed()) == map)
            }
        }
    }
}
