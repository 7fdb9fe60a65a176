import TagMemCore

/// Memory maps that the tests run on.
enum TestMaps {
    typealias Region = MemoryMap.Region

    static let block: UInt64 = 128 << 10

    static func data(_ start: UInt64, blocks: UInt64, tags: UInt64) -> Region {
        Region(start: at(start), size: blocks * block, kind: .data(tagBase: at(tags)))
    }

    static func storage(_ start: UInt64, pages: UInt64) -> Region {
        Region(start: at(start), size: pages * Page.size, kind: .tagStorage)
    }

    /// One Tag Block at 128K and its tag storage right behind: what `--size 128K --base 128K` gives.
    static let standard: [Region] = [data(0x20000, blocks: 1, tags: 0x40000), storage(0x40000, pages: 1)]

    /// Two regions of data that touch, whose tags lie the other way round in one region with unused pages between.
    static let crossed: [Region] = [
        storage(0x0, pages: 5), data(0x40000, blocks: 1, tags: 0x3000),
        data(0x60000, blocks: 1, tags: 0x1000),
    ]

    /// Three regions of data and three of tag storage: one that serves two, one that touches its data, one unused.
    static let scattered: [Region] = [
        data(0x0, blocks: 2, tags: 0x162000), storage(0x50000, pages: 3),
        data(0x60000, blocks: 1, tags: 0x161000), data(0x100000, blocks: 3, tags: 0x400000),
        storage(0x160000, pages: 6), storage(0x400000, pages: 3),
    ]

    /// Two regions of data whose tags are hidden, one with addressable tags, and ordinary memory that touches both.
    static let hidden: [Region] = [
        Region(start: at(0x20000), size: block, kind: .dataWithHiddenTags),
        Region(start: at(0x40000), size: 3 * Page.size, kind: .ordinary),
        data(0x60000, blocks: 1, tags: 0xa0000),
        Region(start: at(0x80000), size: block, kind: .dataWithHiddenTags), storage(0xa0000, pages: 1),
    ]

    static let all: [[Region]] = [standard, crossed, scattered, hidden]
}

func at(_ address: UInt64) -> PhysicalAddress { PhysicalAddress(address) }
