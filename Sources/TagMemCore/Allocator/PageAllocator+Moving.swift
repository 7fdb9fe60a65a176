/// One page moves, or two change places. Either it happens or nothing does.
extension PageAllocator {
    private func moving(_ place: Place, _ entry: PageEntry) -> MovingPage {
        guard let use = entry.use else { preconditionFailure("a free page cannot move") }
        return MovingPage(
            frame: PageFrame(place, geometry), use: use, owner: entry.owner.reserve == nil ? entry.owner : nil
        )
    }

    /// Moves a page that is in use to a free place in a block of the state that it needs.
    ///
    /// The block it leaves is settled unless it is claimed; so is the target's if the mover refuses.
    mutating func migrate(_ source: Place, to target: Place, _ mover: inout (some PageMover & ~Copyable))
        -> Bool
    {
        let entry = table[source]
        guard !entry.isPinned, mover.move(moving(source, entry), to: PageFrame(target, geometry)) else {
            if !entry.isPinned { counters.refusals += 1 }
            settle(target.block, &mover)
            return false
        }
        occupy(target, entry)
        vacate(source)
        settle(source.block, &mover)
        counters.migrations += 1
        relocated(entry.owner, to: target, &mover)
        return true
    }

    /// Lets two pages in use, of whatever uses, change places. Both blocks must admit what they get.
    mutating func exchange(_ first: Place, _ second: Place, _ mover: inout (some PageMover & ~Copyable))
        -> ExchangeOutcome
    {
        let (firstEntry, secondEntry) = (table[first], table[second])
        if firstEntry.isPinned { return .firstRefused }
        if secondEntry.isPinned { return .secondRefused }
        let outcome = mover.exchange(moving(first, firstEntry), moving(second, secondEntry))
        guard outcome == .done else {
            counters.refusals += 1
            return outcome
        }
        vacate(first)
        vacate(second)
        occupy(first, secondEntry)
        occupy(second, firstEntry)
        settle(first.block, &mover)
        settle(second.block, &mover)
        counters.exchanges += 1
        relocated(firstEntry.owner, to: second, &mover)
        relocated(secondEntry.owner, to: first, &mover)
        return .done
    }

    private mutating func relocated(
        _ owner: PageOwner, to place: Place, _ mover: inout (some PageMover & ~Copyable)
    ) {
        let frame = PageFrame(place, geometry)
        if let use = owner.reserve {
            reserves.relocate(use, slot: Int(owner.index), to: frame)
        } else {
            mover.relocated(owner, to: frame)
        }
    }

    /// The next page of a block, from `position` on, that is in use for `use` and may move.
    ///
    /// Without pins the bitmaps tell, and the page's entry, a cache miss, comes while the page is copied.
    func movable(_ use: PageUse, in block: BlockIndex, _ range: Range<Int>) -> Place? {
        let hasPins = table[block].hasPins
        var position = range.lowerBound
        while position < range.upperBound,
            let found = table.firstPosition(in: block, position..<range.upperBound, use: use)
        {
            let place = Place(block, found)
            if !hasPins || !table[place].isPinned { return place }
            position = found + 1
        }
        return nil
    }
}
