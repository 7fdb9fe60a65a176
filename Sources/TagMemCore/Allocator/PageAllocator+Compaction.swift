/// Compaction: as few tagged blocks as the tagged pages need, a few pages at a time.
extension PageAllocator {
    /// Whether compaction has nothing to do: the tagged blocks are ceil(t / d), or as few as can be around pinned pages,
    /// or as few as refused moves allowed when it last tried. Constant time.
    public var isCompact: Bool { isStalled || hasFewestTaggedBlocks }

    /// Whether no arrangement of the pages around pinned ones has fewer tagged blocks.
    var hasFewestTaggedBlocks: Bool {
        taggedBlocks == blocksNeeded(tagged: taggedPages)
            || taggedBlocks == blocksNeeded(aroundPinsTagged: taggedPages)
    }

    /// Empties sparse tagged blocks into fuller ones, with at most `budget` pages moved or exchanged.
    ///
    /// Call it again until `isCompact`. A block that cannot be emptied is left alone until all others were tried, so
    /// that this ends. A block that a step leaves half emptied is in ordinary use meanwhile.
    ///
    /// A mover that gives up ends the step, and the block is gone on with in the next one.
    ///
    /// - Returns: the part of the budget that was used.
    @discardableResult
    public mutating func compactStep(budget: Int, with mover: inout (some PageMover & ~Copyable)) -> Int {
        defer { clearMarks() }
        var left = budget
        while left > 0 {
            guard
                let block = victim.flatMap({ canEmpty(table[$0], except: .refused) ? $0 : nil })
                    ?? emptiable(except: .refused)
            else {
                isStalled = true
                break
            }
            victim = block
            switch empty(block, budget: &left, &mover) {
            case .done:
                counters.compactions += 1
                victim = nil
            case .failed:
                if mover.hasGivenUp { return budget - left }
                var record = table[block]
                record.marks.insert(.refused)
                table[block] = record
                refused.append(block)
                victim = nil
            case .outOfBudget: break
            }
        }
        if isCompact { endCompaction() }
        return budget - left
    }

    /// The blocks that refused may be tried again.
    private mutating func endCompaction() {
        victim = nil
        while let block = refused.popLast() {
            var record = table[block]
            record.marks.remove(.refused)
            table[block] = record
        }
    }

    /// Compacts to the end.
    public mutating func compact(with mover: inout (some PageMover & ~Copyable)) {
        while !isCompact { compactStep(budget: .max, with: &mover) }
    }
}
