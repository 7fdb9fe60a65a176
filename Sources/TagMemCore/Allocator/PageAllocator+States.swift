/// Pages and blocks change state here and nowhere else.
extension PageAllocator {
    @inline(__always)
    func isTagPage(_ place: Place) -> Bool { place.position >= geometry.dataPages }

    /// A free page comes into use. Its block is in the state that the use needs.
    @inline(__always)
    mutating func occupy(_ place: Place, _ use: PageUse, _ entry: PageEntry) {
        let record = table[place.block]
        let isTagPage = isTagPage(place)
        // A tagged page needs a tagged block, an untagged one any block in use; a Tag Page one that is not tagged.
        precondition(record.stateBits >= use.rawValue, "the page's block is in another state")
        precondition(record.stateBits &>> 1 & (isTagPage ? 1 : 0) == 0, "the Tag Page is reserved")
        table.setUsed(place, for: use)
        table[place] = entry
        count(use, isTagPage, 1)
        relist(place.block, record.occupying(use, isTagPage: isTagPage))
    }

    mutating func occupy(_ place: Place, _ entry: PageEntry) {
        guard let use = entry.use else { preconditionFailure("a page comes into use without one") }
        occupy(place, use, entry)
    }

    /// A page is free. `settle` must follow, unless the block is claimed.
    mutating func vacate(_ place: Place) {
        let record = vacated(place)
        table[place.block] = record
    }

    /// A page is free. `settle` must follow with the record.
    @inline(__always)
    mutating func vacated(_ place: Place) -> BlockRecord {
        let use = table.setFree(place)
        let isTagPage = isTagPage(place)
        count(use, isTagPage, -1)
        return table[place.block].vacating(use, isTagPage: isTagPage)
    }

    @inline(__always)
    private mutating func count(_ use: PageUse, _ isTagPage: Bool, _ change: Int) {
        let tagged = use == .tagged ? change : 0
        taggedPages &+= tagged
        untaggedPages &+= change &- tagged
        tagPagesUsed &+= isTagPage ? change : 0
    }

    /// Brings the block to the state, and to the list, that its counts ask for.
    mutating func settle(_ block: BlockIndex, _ mover: inout (some PageMover & ~Copyable)) {
        let record = table[block]
        if record.marks.contains(.claimed) { return }
        if record.settledBits == record.stateBits {
            relist(block, record)
        } else {
            change(block, to: record.settledState, &mover)
        }
    }

    /// A block's change of state, with the Tag Storage Clean that it needs, before.
    mutating func change(
        _ block: BlockIndex, to state: BlockState, _ mover: inout (some PageMover & ~Copyable)
    ) {
        var record = table[block]
        if record.state == .free { freeBlocks -= 1 }
        if record.state == .tagged {
            taggedBlocks -= 1
            pinnedLent -= record.pinnedData
            counters.blocksToUntagged += 1
        }
        switch state {
        case .free:
            freeBlocks += 1
        case .untagged:
            if record.tagPageUse == .tags { clean(block, .data, &record, &mover) }
        case .tagged:
            precondition(record.usedTag == 0, "a Tag Page that holds data cannot be reserved")
            if record.tagPageUse == .data { clean(block, .tags, &record, &mover) }
            taggedBlocks += 1
            pinnedLent += record.pinnedData
            counters.blocksToTagged += 1
            counters.reserveSuccesses += 1
        }
        record.state = state
        relist(block, record)
    }

    private mutating func clean(
        _ block: BlockIndex, _ use: TagPageUse, _ record: inout BlockRecord,
        _ mover: inout (some PageMover & ~Copyable)
    ) {
        mover.clean(block, for: use)
        record.tagPageUse = use
        if use == .tags { counters.cleansForTags += 1 } else { counters.cleansForData += 1 }
    }
}
