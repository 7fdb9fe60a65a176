import TestSupport
import Testing

@testable import TagMemCore

/// The allocator on emulated DRAM: every byte and every tag of every page, after every step.
@Suite("Allocator on DRAM", .repeatable) struct DRAMPageMoverTests {
    /// Where pages are, as the mover tells.
    final class Directory {
        var frames: [PageOwner: PageFrame] = [:]
        var cleans = 0
    }

    @Test("contents and tags survive", arguments: [4096, 16384], [1, 2])
    func survive(_ pageSize: Int, _ blockSize: Int) throws {
        let map = try BlockLayoutTests.map(UInt64(32 * pageSize * blockSize))
        let layout = try BlockLayout(map: map, pageSize: pageSize, blockSize: blockSize)
        let dram = try DRAM(map: map)
        let directory = Directory()
        var mover = DRAMPageMover(
            dram: dram, layout: layout, onRelocation: { directory.frames[$0] = $1 },
            onClean: { _, _ in directory.cleans += 1 })
        var allocator = try PageAllocator(layout)
        var pages: [PageOwner: (use: PageUse, bytes: [UInt8], tag: UInt64)] = [:]
        // Always the same: whether anything has to move depends on the seed, and here something must.
        var generator = SeededGenerator(seed: 1)
        do {
            // Filled first; then pages come and go where hardly any is free.
            let total = layout.blocks * layout.geometry.pages
            for step in 0..<total + 400 {
                let use: PageUse = generator.oneIn(step / 100 % 2 == 0 ? 4 : 2) ? .tagged : .untagged
                let victim = pages.keys.sorted { $0.index < $1.index }.randomElement(using: &generator)
                if step > total, generator.oneIn(2), let victim, let frame = directory.frames[victim] {
                    allocator.free(frame, with: &mover)
                    directory.frames[victim] = nil
                    pages[victim] = nil
                } else {
                    let owner = PageOwner(object: 3, index: UInt32(step))
                    guard let frame = try? allocator.allocate(use, for: owner, with: &mover) else { continue }
                    let address = layout.address(of: frame)
                    #expect(dram.bytes(at: address, count: pageSize).allSatisfy { $0 == 0 })
                    if use == .tagged {
                        let zero = AddressTag(truncating: 0)
                        #expect(dram.firstMismatch(of: zero, at: address, count: pageSize) == nil)
                    }
                    let stamp = UInt8(truncatingIfNeeded: step)
                    var bytes = [UInt8](repeating: stamp, count: pageSize)
                    for part in 0..<16 { bytes[part * pageSize / 16 + part] = stamp &+ UInt8(part) &* 5 }
                    let tag = generator.bits(4)
                    dram.setBytes(bytes, at: address)
                    if use == .tagged {
                        dram.fillTags(AllocationTag(truncating: tag), at: address, count: pageSize)
                    }
                    directory.frames[owner] = frame
                    pages[owner] = (use, bytes, tag)
                }
                if step % 10 == 0 { allocator.compactStep(budget: 5, with: &mover) }
                try allocator.checkInvariants()
                if step % 20 == 0 { try compare(pages, directory, dram, layout) }
            }
            allocator.compact(with: &mover)
            let (reserved, needed) = (allocator.tagPagesReserved, allocator.tagPagesNeeded)
            #expect(reserved == needed)
            try compare(pages, directory, dram, layout)
            let (migrations, exchanges) = (allocator.counters.migrations, allocator.counters.exchanges)
            #expect(migrations > 0, "the test moved nothing (\(exchanges) exchanges)")
            let cleans = allocator.counters.cleansForTags + allocator.counters.cleansForData
            #expect(directory.cleans == cleans)
        }
    }

    private func compare(
        _ pages: [PageOwner: (use: PageUse, bytes: [UInt8], tag: UInt64)], _ directory: Directory,
        _ dram: DRAM,
        _ layout: BlockLayout
    ) throws {
        for (owner, page) in pages {
            let frame = try #require(directory.frames[owner])
            let address = layout.address(of: frame)
            // SAFETY: the buffer is the array's, for the closure's duration.
            let isEqual = unsafe page.bytes.withUnsafeBytes { unsafe dram.equals($0, at: address) }
            try #require(isEqual, "contents of \(owner)")
            guard page.use == .tagged else { continue }
            let tag = AddressTag(truncating: page.tag)
            try #require(dram.firstMismatch(of: tag, at: address, count: page.bytes.count) == nil)
        }
    }
}
