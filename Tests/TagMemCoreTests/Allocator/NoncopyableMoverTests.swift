import Testing

@testable import TagMemCore

/// A mover that may hold what cannot be copied, as one that borrows a lock's state does.
@Suite("Noncopyable movers") struct NoncopyableMoverTests {
    private struct Mover: PageMover, ~Copyable {
        var memory: SimulatedMemory

        mutating func zero(_ frame: PageFrame, for use: PageUse) { memory.zero(frame, for: use) }
        mutating func clearTags(of frame: PageFrame) { memory.clearTags(of: frame) }
        mutating func clean(_ block: BlockIndex, for use: TagPageUse) { memory.clean(block, for: use) }
        mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
            memory.move(page, to: target)
        }
        mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
            memory.exchange(first, second)
        }
        mutating func relocated(_ owner: PageOwner, to frame: PageFrame) {
            memory.relocated(owner, to: frame)
        }
    }

    @Test("every call that may move takes a mover that cannot be copied")
    func calls() throws {
        let layout = try BlockLayout(blocks: 2, geometry: BlockGeometry(dataPages: 2, tagPages: 1))
        var allocator = try PageAllocator(layout)
        var mover = Mover(memory: SimulatedMemory(layout))
        var owners: [PageOwner] = []
        for index in 0..<4 {
            let owner = PageOwner(object: 1, index: UInt32(index))
            mover.memory.frames[owner] =
                index == 3
                ? try allocator.allocateAtomic(.untagged, for: owner, with: &mover)
                : try allocator.allocate(.untagged, for: owner, with: &mover)
            owners.append(owner)
        }
        let frame = try #require(mover.memory.frames[owners[0]])
        let tagged = try allocator.setUse(.tagged, of: frame, with: &mover)
        #expect(mover.memory.frames[owners[0]] == tagged && allocator.use(of: tagged) == .tagged)
        for owner in owners {
            allocator.free(try #require(mover.memory.frames[owner]), with: &mover)
        }
        allocator.compact(with: &mover)
        try allocator.checkInvariants()
        #expect(allocator.freeBlocks == 2 && mover.memory.complaints.isEmpty)
    }
}
