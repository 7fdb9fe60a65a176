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

    static func region(_ start: UInt64, _ size: UInt64, _ kind: Region.Kind) -> Region {
        Region(start: at(start), size: size, kind: kind)
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
        (.misaligned(at(0x1000), size: block), [region(0x1000, block, .dataWithHiddenTags)]),
        (.misaligned(at(0), size: 0x1000), [region(0, 0x1000, .dataWithHiddenTags)]),
        (.misaligned(at(0x800), size: 0x1000), [region(0x800, 0x1000, .ordinary)]),
        (.overlap(at(0x1000)), [region(0, 0x2000, .ordinary), region(0x1000, 0x1000, .ordinary)]),
        (.blockSize(0, of: at(0)), [Region(start: at(0), size: 0x1000, kind: .tagStorage, blockSize: 0)]),
        (
            .blockSize(0x1800, of: at(0)),
            [Region(start: at(0), size: 0x3000, kind: .tagStorage, blockSize: 0x1800)]
        ),
        // Half a block of tags; tags that start within a block.
        (
            .partialBlock(of: at(0), blockSize: 0x2000),
            [
                data(0, block, tags: 0x100000),
                Region(start: at(0x100000), size: 0x2000, kind: .tagStorage, blockSize: 0x2000),
            ]
        ),
        (
            .partialBlock(of: at(0), blockSize: 0x2000),
            [
                data(0, 2 * block, tags: 0x101000),
                Region(start: at(0x100000), size: 0x4000, kind: .tagStorage, blockSize: 0x2000),
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

    @Test("amounts are those of each kind; hidden tags lie behind all physical addresses, in order")
    func kinds() throws {
        let map = try MemoryMap(
            regions: [
                Self.region(2 * Self.block, 2 * Self.block, .dataWithHiddenTags),
                Self.data(4 * Self.block, Self.block, tags: 0x100000), Self.storage(0x100000, 0x1000),
                Self.region(0, 0x3000, .ordinary), Self.region(1 << 40, Self.block, .dataWithHiddenTags),
            ],
            reservations: [.init(start: Self.at(0x1000), size: 0x2000, isUnmapped: true)])
        #expect(map.dataSize == 4 * Self.block)
        #expect(map.tagStorageSize == 0x1000 && map.hiddenTagStorageSize == 0x3000)
        #expect(map.ordinarySize == 0x3000 && map.reservedSize == 0x2000)
        #expect(map.regions.map(\.isMTECapable) == [false, true, true, false, true])
        let limit = PhysicalAddress(PhysicalAddress.limit)
        let bases = [nil, limit, Self.at(0x100000), nil, limit + 0x2000]
        #expect(map.regions.map { map.tagBase(of: $0) } == bases)
        #expect(Array(map.banks[..<5]) == map.regions)
        #expect(map.banks[5...].map(\.start) == [limit, limit + 0x2000])
        #expect(map.banks[5...].map(\.size) == [0x2000, 0x1000])
        #expect(map.banks[5...].allSatisfy { $0.kind == .tagStorage })
        #expect(map.end.rawValue == (1 << 40) + Self.block)
    }

    @Test("a reservation is pages of one region that is not tag storage")
    func reservations() throws {
        let regions = [
            Self.region(0, 0x4000, .ordinary), Self.region(0x4000, 0x4000, .ordinary),
            Self.storage(0x8000, 0x1000),
        ]
        func map(_ reserved: [(UInt64, UInt64)]) throws -> MemoryMap {
            try MemoryMap(
                regions: regions, reservations: reserved.map { .init(start: Self.at($0), size: $1) })
        }
        let sorted = try map([(0x5000, 0x3000), (0, 0x1000), (0x1000, 0x3000)])
        #expect(sorted.reservations.map(\.start.rawValue) == [0, 0x1000, 0x5000])
        for (error, reserved) in [
            (.emptyRegion(Self.at(0x1000)), [(0x1000, 0)]),
            (.misaligned(Self.at(0x800), size: 0x1000), [(0x800, 0x1000)]),
            (.misaligned(Self.at(0), size: 0x800), [(0, 0x800)]),
            (.overlap(Self.at(0x1000)), [(0, 0x2000), (0x1000, 0x1000)]),
            (.reservedElsewhere(Self.at(0x3000), size: 0x2000), [(0x3000, 0x2000)]),
            (.reservedElsewhere(Self.at(0x8000), size: 0x1000), [(0x8000, 0x1000)]),
            (.reservedElsewhere(Self.at(0x9000), size: 0x1000), [(0x9000, 0x1000)]),
            (.reservedElsewhere(Self.at(0x7000), size: UInt64.max - 0xfff), [(0x7000, UInt64.max - 0xfff)]),
        ] as [(MemoryMapError, [(UInt64, UInt64)])] {
            #expect(throws: error) { try map(reserved) }
            #expect(!error.description.isEmpty)
        }
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
