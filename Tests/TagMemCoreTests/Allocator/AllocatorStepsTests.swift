import TestSupport
import Testing

@testable import TagMemCore

/// What takes as long as there is memory is done in steps.
@Suite("Allocator, steps", .repeatable) struct AllocatorStepsTests {
    @Test("a reserve is given back a few pages at a time, and filled again")
    func reserve() throws {
        var harness = try AllocatorHarness(blocks: 8, dataPages: 8)
        harness.allocator.setReserveWatermark(.untagged, to: 20)
        harness.allocator.setReserveWatermark(.tagged, to: 9)
        #expect(harness.allocator.needsRefill && !harness.allocator.needsReserveRelease)
        try harness.allocator.refillReserve(with: &harness.memory)
        try harness.verify()
        let free = harness.allocator.freePages
        harness.allocator.setReserveWatermark(.untagged, to: 3)
        harness.allocator.setReserveWatermark(.tagged, to: 0)
        #expect(harness.allocator.freePages == free && harness.allocator.reservedPages(.untagged) == 20)
        #expect(!harness.allocator.needsRefill && harness.allocator.needsReserveRelease)
        for left in [19, 12, 5] {
            let used = harness.allocator.releaseReserve(budget: 7, with: &harness.memory)
            #expect(used == 7 && harness.allocator.needsReserveRelease)
            let reserved = PageUse.allCases.reduce(0) { $0 + harness.allocator.reservedPages($1) }
            #expect(reserved == left + 3)
            try harness.verify()
        }
        #expect(harness.allocator.releaseReserve(budget: 7, with: &harness.memory) == 5)
        #expect(!harness.allocator.needsReserveRelease && !harness.allocator.needsRefill)
        #expect(harness.allocator.reservedPages(.untagged) == 3)
        #expect(harness.allocator.releaseReserve(budget: 7, with: &harness.memory) == 0)
        try harness.verify()
    }

    @Test("a reserve that comes and goes while pages move has its pages")
    func reserveLife() throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(blocks: 4, dataPages: 6, tagPages: 1)
            for _ in 0..<600 {
                let use: PageUse = generator.oneIn(2) ? .tagged : .untagged
                switch Int.random(in: 0..<6, using: &generator) {
                case 0:
                    harness.allocator.setReserveWatermark(use, to: Int.random(in: 0...8, using: &generator))
                case 1:
                    harness.memory.hasGivenUp = false
                    try? harness.allocator.refillReserve(budget: 3, with: &harness.memory)
                case 2: harness.allocator.releaseReserve(budget: 2, with: &harness.memory)
                case 3: _ = harness.attempt(use, atomic: generator.oneIn(2))
                case 4: try harness.compact(budget: 2)
                default:
                    let owner = harness.pages.keys.sorted { $0.index < $1.index }.randomElement(
                        using: &generator)
                    if let owner { try harness.free(owner) }
                }
                try harness.verify()
            }
        }
    }

    @Test("pinned pages are found in steps, in order, and none that is not there", arguments: [1, 7, 1000])
    func pinned(_ budget: Int) throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(blocks: 300, dataPages: 5, tagPages: 2)
            var owners: [PageOwner] = []
            for _ in 0..<1500 {
                _ = try harness.attemptQuickly(generator.oneIn(3) ? .tagged : .untagged, &owners)
            }
            for _ in 0..<5 {
                for owner in owners where generator.oneIn(40) {
                    let isPinned = try #require(harness.pages[owner]).isPinned
                    try harness.setPinned(owner, !isPinned)
                }
                try harness.verify()
                let expected = harness.pages.filter(\.value.isPinned).keys
                    .compactMap { harness.memory.frames[$0] }.sorted { $0.rawValue < $1.rawValue }
                #expect(harness.pinnedFrames(budget: budget) == expected)
            }
            for (owner, page) in harness.pages where page.isPinned { try harness.setPinned(owner, false) }
            #expect(harness.pinnedFrames(budget: budget).isEmpty)
        }
    }

    @Test("pages that are not there are not pinned ones, and their blocks' pages are")
    func absent() throws {
        let map = try MemoryMap(regions: [
            .init(start: PhysicalAddress(0x20000), size: 40 << 12, kind: .ordinary)
        ])
        var allocator = try PageAllocator(BlockLayout(map: map))
        var mover = DRAMPageMover(dram: try DRAM(map: map), layout: allocator.layout)
        func pinned(_ allocator: borrowing PageAllocator) -> [UInt32] {
            var found: [UInt32] = []
            var next = allocator.forEachPinned(budget: 1) { _, owner, _ in found.append(owner.index) }
            while let frame = next {
                next = allocator.forEachPinned(from: frame, budget: 1) { _, owner, _ in
                    found.append(owner.index)
                }
            }
            return found.sorted()
        }
        #expect(pinned(allocator).isEmpty)
        let frames = try (0..<3).map {
            try allocator.allocate(.untagged, for: PageOwner(object: 1, index: $0), with: &mover)
        }
        for frame in frames { allocator.pin(frame) }
        try allocator.checkInvariants()
        #expect(pinned(allocator) == [0, 1, 2])
        for frame in frames { allocator.unpin(frame) }
        try allocator.checkInvariants()
        #expect(pinned(allocator).isEmpty)
    }

    @Test("compaction is at rest at once where pins leave nothing to do")
    func compact() throws {
        var harness = try AllocatorHarness(blocks: 40, dataPages: 4)
        for _ in 0..<160 { try harness.allocate(.tagged) }
        // One page of each block is left, and pinned.
        let owners = Dictionary(grouping: harness.pages.keys) {
            harness.memory.frames[$0].map { $0.rawValue >> 3 }
        }
        for group in owners.values {
            try harness.setPinned(group[0], true)
            for owner in group.dropFirst() { try harness.free(owner) }
        }
        #expect(harness.allocator.taggedBlocks == 40 && harness.allocator.isCompact)
        let (owner, _) = try #require(harness.pages.first)
        try harness.setPinned(owner, false)
        #expect(harness.allocator.isCompact == false)
        try harness.compact(budget: 1)
        #expect(harness.allocator.taggedBlocks == 39 && harness.allocator.isCompact)
        try harness.verify()
    }
}

extension AllocatorHarness {
    /// In steps of `budget` pages that are looked at.
    func pinnedFrames(budget: Int) -> [PageFrame] {
        var frames: [PageFrame] = []
        var next: PageFrame?
        repeat {
            let before = frames.count
            next = allocator.forEachPinned(from: next, budget: budget) { frame, owner, _ in
                #expect(memory.frames[owner] == frame)
                frames.append(frame)
            }
            #expect(frames.count - before <= budget)
        } while next != nil
        return frames
    }
}
