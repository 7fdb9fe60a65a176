/// An invariant that does not hold: the allocator has a defect.
public struct InvariantViolation: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// What must hold between any two calls.
extension PageAllocator {
    /// Checks every invariant of the allocator. Linear in the blocks that were ever used; for tests.
    public func checkInvariants() throws(InvariantViolation) {
        var sum = Sums(pinnedBlocks: PinnedBlocks(geometry))
        for index in 0..<freshBlock { try check(BlockIndex(UInt32(index)), &sum) }
        sum.freeBlocks += layout.blocks - freshBlock
        sum.free += geometry.pages * (layout.blocks - freshBlock)
        try require(sum.untagged == untaggedPages, "untagged pages: \(sum.untagged), not \(untaggedPages)")
        try require(sum.tagged == taggedPages, "tagged pages: \(sum.tagged), not \(taggedPages)")
        try require(sum.usedTag == tagPagesUsed, "Tag Pages used: \(sum.usedTag), not \(tagPagesUsed)")
        try require(
            sum.taggedBlocks == taggedBlocks, "tagged blocks: \(sum.taggedBlocks), not \(taggedBlocks)")
        try require(sum.freeBlocks == freeBlocks, "free blocks: \(sum.freeBlocks), not \(freeBlocks)")
        try require(sum.pinned == pinnedPages, "pinned pages: \(sum.pinned), not \(pinnedPages)")
        try require(sum.pinnedLent == pinnedLent, "pinned lent pages: \(sum.pinnedLent), not \(pinnedLent)")
        try require(freePages >= 0 && sum.free == freePages, "free pages: \(sum.free), not \(freePages)")
        try require(
            sum.pinnedBlocks == pinnedBlocks, "blocks with pins: \(sum.pinnedBlocks), not \(pinnedBlocks)")
        try require(marked.isEmpty, "marks are left")
        try require(
            promises.isEmpty || isPossible(untagged: committedUntagged, tagged: committedTagged),
            "more is promised than there is")
        try checkCounters()
        try checkLists(listed: sum.listed)
        try checkReserves(pages: sum.reserved)
    }

    private struct Sums {
        var untagged = 0, tagged = 0, usedTag = 0, free = 0, pinned = 0, pinnedLent = 0, reserved = 0
        var taggedBlocks = 0, freeBlocks = 0, listed = 0
        var pinnedBlocks: PinnedBlocks
    }

    private func require(
        _ condition: Bool, _ text: @autoclosure () -> String
    ) throws(InvariantViolation) {
        if !condition { throw InvariantViolation(description: text()) }
    }

    private func check(_ block: BlockIndex, _ sum: inout Sums) throws(InvariantViolation) {
        let record = table[block]
        let name = "block \(block.rawValue)"
        var counted = BlockRecord()
        var hasPinnedPages = false
        for position in 0..<geometry.pages {
            let place = Place(block, position)
            let entry = table[place]
            guard let use = entry.use else {
                try require(!table.isUsed(place), "\(name): page \(position) is in use without an entry")
                continue
            }
            try require(table.use(of: place) == use, "\(name): bitmap and entry of \(position) differ")
            try require(use == .untagged || !isTagPage(place), "\(name): tag storage is tagged")
            counted = counted.occupying(use, isTagPage: isTagPage(place))
            if entry.isPinned { counted = counted.pinning(use, isTagPage: isTagPage(place), true) }
            if entry.isPinned, entry.owner.isOutside || !isTagPage(place) { hasPinnedPages = true }
            if entry.owner.reserve != nil { sum.reserved += 1 }
        }
        try require(
            (record.tagged, record.usedData, record.usedTag)
                == (counted.tagged, counted.usedData, counted.usedTag), "\(name): its counts are wrong")
        try require(
            (record.pinnedTagged, record.pinnedData, record.pinnedTag)
                == (counted.pinnedTagged, counted.pinnedData, counted.pinnedTag),
            "\(name): its pins are wrong")
        try require(
            lists.hasPinnedPages(block) == hasPinnedPages, "\(name): is not known for its pinned pages")
        try require(record.state == record.settledState, "\(name): \(record.state) with \(record.used) used")
        try require(record.marks.subtracting(.refused).isEmpty, "\(name): a mark is left")
        try require(record.list == levels.list(for: record), "\(name): in the wrong list")
        switch record.state {
        case .free: sum.freeBlocks += 1
        case .untagged: try require(record.tagPageUse == .data, "\(name): no clean before data")
        case .tagged:
            try require(record.tagPageUse == .tags, "\(name): no clean before tags")
            try require(record.usedTag == 0, "\(name): a reserved Tag Page is data")
            sum.taggedBlocks += 1
            sum.pinnedLent += record.pinnedData
        }
        sum.untagged += record.used - record.tagged
        sum.tagged += record.tagged
        sum.usedTag += record.usedTag
        sum.free += geometry.pages - record.used - (record.state == .tagged ? geometry.tagPages : 0)
        sum.pinned += record.pinnedTagged + record.pinnedData + record.pinnedTag
        sum.pinnedBlocks.change(from: BlockRecord(), to: record)
        if record.list != .none { sum.listed += 1 }
    }

    /// Each change of a block's use was counted, in both directions.
    private func checkCounters() throws(InvariantViolation) {
        try require(
            counters.blocksToTagged - counters.blocksToUntagged + fixedBlocks == taggedBlocks,
            "conversions do not add up")
        try require(
            counters.allocations - counters.frees + absentPages == untaggedPages + taggedPages,
            "allocations and frees do not add up")
        try require(
            counters.cleansForData <= counters.cleansForTags, "more cleans for data than there were tags")
    }

    /// Every list holds the blocks that say so, and no others.
    private func checkLists(listed: Int) throws(InvariantViolation) {
        var found = 0
        for raw in 0..<BlockLists.count where raw != BlockLists.pinnedSet {
            let list = BlockLists.ID(rawValue: UInt8(raw))
            var stray: BlockIndex?
            _ = lists.first(list) { block in
                found += 1
                if table[block].list != list || !lists.contains(block, in: list) { stray = block }
                return stray != nil || found > listed
            }
            if let stray { try require(false, "block \(stray.rawValue): in a list that is not its own") }
        }
        try require(found == listed, "\(found) blocks in lists, not \(listed)")
    }

    private func checkReserves(pages: Int) throws(InvariantViolation) {
        for use in PageUse.allCases {
            try reserves[use].checkInvariants()
            for slot in 0..<reserves.count(use) {
                let entry = reserves[use].frame(at: slot).map { table[Place($0, geometry)] } ?? .free
                try require(
                    entry.use == use && entry.owner == PageOwner(reserve: use, slot: slot),
                    "slot \(slot) of the \(use) reserve has somebody else's page")
            }
        }
        try require(
            pages == reserves.count(.untagged) + reserves.count(.tagged), "a reserved page is in no slot")
    }
}
