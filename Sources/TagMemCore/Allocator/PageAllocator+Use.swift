/// Pages that turn from untagged to tagged use and back with their contents, as `mprotect` with PROT_MTE does.
extension PageAllocator {
    /// Changes what a page in use is for. Contents stay; tags start at 0 or are dropped. The page may move, in which
    /// case its owner is told as of any move.
    ///
    /// As complete as `allocate`: fails only if no arrangement of the pages, and of those that are promised, allows it, or
    /// pages that cannot move, this one included, are in the way. To untagged use it never fails.
    ///
    /// - Parameter inPlace: Rather turn the whole block to tagged use than move the page to a tagged block, where that
    ///   takes no more moves: for many pages of one block, all of which are to be tagged.
    /// - Returns: where the page is now.
    /// - Throws: as `allocate`, with nothing changed that an owner could see.
    public mutating func setUse(
        _ use: PageUse, of frame: PageFrame, inPlace: Bool = false,
        with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        let place = Place(frame, geometry)
        guard let current = table[place].use else { preconditionFailure("a free page has no use") }
        if current == use { return frame }
        if use == .untagged {
            isStalled = false
            flip(place, to: .untagged)
            settle(place.block, &mover)
            return frame
        }
        guard isPossible(untagged: committedUntagged - 1, tagged: committedTagged + 1) else {
            counters.failures += 1
            throw .noMemory(.tagged)
        }
        return try turnTagged(place, inPlace: inPlace, &mover)
    }

    /// Turns an untagged page tagged, promised or not. The state that this leads to is possible.
    mutating func turnTagged(
        _ place: Place, inPlace: Bool, _ mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        isStalled = false
        defer { clearMarks() }
        guard let target = placeForTagging(place, inPlace, &mover) else {
            if mover.hasGivenUp { throw .mustWait(.tagged) }
            counters.failures += 1
            throw .immovable(.tagged)
        }
        flip(target, to: .tagged)
        mover.clearTags(of: PageFrame(target, geometry))
        return PageFrame(target, geometry)
    }

    /// The page, which stays where it is, is counted as one of the other use. `settle` must follow.
    private mutating func flip(_ place: Place, to use: PageUse) {
        let entry = table[place]
        vacate(place)
        if entry.isPinned, let old = entry.use { countPin(place, old, false) }
        occupy(place, entry.used(for: use))
        if entry.isPinned { countPin(place, use, true) }
    }

    /// Brings an untagged page to a Data Page of a tagged block, where it may then be tagged.
    private mutating func placeForTagging(
        _ page: Place, _ inPlace: Bool, _ mover: inout (some PageMover & ~Copyable)
    ) -> Place? {
        if table[page.block].state == .tagged { return page }
        if inPlace, !isTagPage(page), let place = convertInPlace(page, &mover) { return place }
        if mover.hasGivenUp { return nil }
        if let target = placeAtHand(.tagged, &mover) {
            if migrate(page, to: target, &mover) { return target }
            return mover.hasGivenUp ? nil : convertInPlace(page, &mover)
        }
        while !mover.hasGivenUp,
            let block = firstBlock(
                .lent, sparsestFirst: false, where: { !$1.marks.contains(.lentTried) })
        {
            var position = 0
            while position < geometry.dataPages,
                let lent = movable(.untagged, in: block, position..<geometry.dataPages)
            {
                switch exchange(page, lent, &mover) {
                case .done: return lent
                case .firstRefused: return mover.hasGivenUp ? nil : convertInPlace(page, &mover)
                case .secondRefused: position = mover.hasGivenUp ? .max : lent.position + 1
                }
            }
            mark(block, .lentTried)
        }
        return mover.hasGivenUp ? nil : convertInPlace(page, &mover)
    }

    /// Turns the page's own block to tagged use. A page in a Tag Page first gets a Data Page of the block.
    private mutating func convertInPlace(_ page: Place, _ mover: inout (some PageMover & ~Copyable)) -> Place?
    {
        let block = page.block
        guard freePages >= geometry.tagPages, table[block].pinnedTag == 0 else { return nil }
        guard let page = isTagPage(page) ? dataPlace(for: page, &mover) : page else { return nil }
        guard convert(block, &mover) else { return nil }
        return page
    }

    private mutating func dataPlace(for page: Place, _ mover: inout (some PageMover & ~Copyable)) -> Place? {
        if let target = freeDataPlace(in: page.block) {
            return migrate(page, to: target, &mover) ? target : nil
        }
        var position = 0
        while position < geometry.dataPages,
            let other = movable(.untagged, in: page.block, position..<geometry.dataPages)
        {
            switch exchange(page, other, &mover) {
            case .done: return other
            case .firstRefused: return nil
            case .secondRefused: position = mover.hasGivenUp ? .max : other.position + 1
            }
        }
        return nil
    }
}
