/// Pages that can be had only by moving others.
extension PageAllocator {
    /// A place for the use when none is at hand; nil if pages that cannot move are in the way.
    ///
    /// - Throws: `.noMemory` if no arrangement of the pages leaves room for one more.
    mutating func placeByMigration(
        _ use: PageUse, _ mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> Place? {
        let untagged = untaggedPages + (use == .untagged ? 1 : 0)
        let tagged = taggedPages + (use == .tagged ? 1 : 0)
        guard isPossible(untagged: untagged, tagged: tagged) else {
            counters.failures += 1
            if use == .tagged { counters.reserveFailures += 1 }
            throw .noMemory(use)
        }
        // Pins in the way are not searched for a way around that there is not.
        guard isPossibleAroundPins(untagged: untagged, tagged: tagged) else {
            if use == .tagged { counters.reserveFailures += 1 }
            return nil
        }
        defer { clearMarks() }
        repeat {
            if let place = placeAtHand(use, &mover) { return place }
            if use == .tagged {
                if let place = placeOfLentPage(&mover) ?? placeOfConvertedBlock(&mover) { return place }
            }
        } while emptyBlock(&mover) || replaceLendingBlock(for: use, &mover)
        if use == .tagged, !mover.hasGivenUp { counters.reserveFailures += 1 }
        return nil
    }

    /// Moves a lent page out of a tagged block, to any free page. One migration, and no Tag Page more is reserved.
    private mutating func placeOfLentPage(_ mover: inout (some PageMover & ~Copyable)) -> Place? {
        while !mover.hasGivenUp,
            let block = firstBlock(.lent, sparsestFirst: false, where: { !$1.marks.contains(.lentTried) })
        {
            var position = 0
            while let page = movable(.untagged, in: block, position..<geometry.dataPages) {
                guard let target = placeAtHand(.untagged, &mover) else { return nil }
                if migrate(page, to: target, &mover) { return page }
                if mover.hasGivenUp { return nil }
                position = page.position + 1
                if position >= geometry.dataPages { break }
            }
            mark(block, .lentTried)
        }
        return nil
    }

    /// Turns a block in untagged use to tagged use, with a free Data Page.
    private mutating func placeOfConvertedBlock(_ mover: inout (some PageMover & ~Copyable)) -> Place? {
        // The g Tag Pages and one Data Page must be free in the end, wherever the free pages are now.
        guard freePages > geometry.tagPages else { return nil }
        while !mover.hasGivenUp, let block = convertible(lendingBelow: geometry.dataPages) {
            if convert(block, &mover),
                let place = freeDataPlace(in: block) ?? clearDataPage(of: block, &mover)
            {
                return place
            }
            mark(block, .tried)
            settle(block, &mover)
        }
        return nil
    }

    /// An untagged block to convert that would lend fewer than `limit` pinned pages: as few as can be, as they leave the
    /// less room for tagged ones.
    func convertible(lendingBelow limit: Int) -> BlockIndex? {
        if let block = convertible() { return block }
        guard limit > 1, pinnedBlocks.lending > 0 else { return nil }
        var best: (block: BlockIndex, record: BlockRecord)?
        var next = lists.nextWithPinnedPages(from: 0)
        while let block = next {
            let record = table[block]
            if record.state == .untagged, record.pinnedTag == 0, record.pinnedData < limit,
                !record.marks.contains(.tried), record.pinnedData < best?.record.pinnedData ?? .max
            {
                best = (block, record)
            }
            next = lists.nextWithPinnedPages(from: block.offset + 1)
        }
        return best?.block
    }

    /// An untagged block with many free pages and none pinned: of a few of those, the one with the fewest in the way.
    private func convertible() -> BlockIndex? {
        var best: (block: BlockIndex, usedTag: Int)?
        var left = 8
        func accepts(_ record: BlockRecord) -> Bool {
            record.state == .untagged && !record.hasPins && !record.marks.contains(.tried)
        }
        _ = firstBlock(.untagged, sparsestFirst: true) { block, record in
            guard accepts(record) else { return false }
            if record.usedTag < best?.usedTag ?? .max { best = (block, record.usedTag) }
            left -= 1
            return record.usedTag == 0 || left == 0
        }
        if let best { return best.block }
        // Where pages cannot move, also a block that is in no list because it is full.
        guard hasPins || absentTagPages < absentPages || !marked.isEmpty else { return nil }
        return (0..<freshBlock).lazy.map { BlockIndex(UInt32($0)) }.first { accepts(self.table[$0]) }
    }

    /// Moves the pages in a block's Tag Pages elsewhere, and reserves them. False if one cannot move: the block is
    /// what it was, save for pages that moved already.
    mutating func convert(_ block: BlockIndex, _ mover: inout (some PageMover & ~Copyable)) -> Bool {
        mark(block, .claimed)
        while let page = movable(.untagged, in: block, geometry.dataPages..<geometry.pages) {
            guard let target = placeAtHand(.untagged, &mover) ?? freeDataPlace(in: block),
                migrate(page, to: target, &mover)
            else { break }
        }
        let isClear = table[block].usedTag == 0
        if isClear { change(block, to: .tagged, &mover) }
        unmark(block, .claimed)
        if !isClear { settle(block, &mover) }
        return isClear
    }

    /// Moves one untagged page out of a block that has just turned tagged and has no free Data Page.
    private mutating func clearDataPage(of block: BlockIndex, _ mover: inout (some PageMover & ~Copyable))
        -> Place?
    {
        mark(block, .claimed)
        defer { unmark(block, .claimed) }
        var position = 0
        while position < geometry.dataPages,
            let page = movable(.untagged, in: block, position..<geometry.dataPages)
        {
            guard let target = placeAtHand(.untagged, &mover) else { return nil }
            if migrate(page, to: target, &mover) { return page }
            if mover.hasGivenUp { break }
            position = page.position + 1
        }
        return nil
    }
}
