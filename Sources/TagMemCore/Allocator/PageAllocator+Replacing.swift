/// Tagged blocks that lend pinned pages, which take the place of tagged ones: replaced by blocks that lend fewer.
extension PageAllocator {
    /// Turns a block tagged, and empties one into it that lends more pinned pages: as many blocks are tagged, and have more
    /// room. For an allocation that found no block to empty, and is possible around the pins.
    mutating func replaceLendingBlock(
        for use: PageUse, _ mover: inout (some PageMover & ~Copyable)
    ) -> Bool {
        guard pinnedBlocks.lending > 0, freePages >= geometry.tagPages,
            isPossibleAroundPins(
                untagged: untaggedPages + (use == .untagged ? 1 : 0),
                tagged: taggedPages + (use == .tagged ? 1 : 0))
        else { return false }
        while !mover.hasGivenUp, let old = lendingBlock(),
            let new = convertible(lendingBelow: table[old].pinnedData)
        {
            guard convert(new, &mover) else {
                mark(new, .tried)
                continue
            }
            var budget = Int.max
            let outcome = empty(old, budget: &budget, &mover)
            settle(new, &mover)
            if outcome == .done {
                counters.directCompactions += 1
                return true
            }
        }
        return false
    }

    /// The tagged block that lends the most pinned pages, of those that could be emptied if there were room.
    private func lendingBlock() -> BlockIndex? {
        var best: (block: BlockIndex, pinned: Int)?
        var next = lists.nextWithPinnedPages(from: 0)
        while let block = next {
            let record = table[block]
            if record.state == .tagged, !record.isFixed, record.pinnedTagged == 0,
                !record.marks.contains(.tried), record.pinnedData > best?.pinned ?? 0
            {
                best = (block, record.pinnedData)
            }
            next = lists.nextWithPinnedPages(from: block.offset + 1)
        }
        return best?.block
    }
}
