/// Pages that can be had without moving another: constant time.
extension PageAllocator {
    /// Gives out a page of a block that is in the state of the use, not zeroed yet; nil if none of those has one.
    @inline(__always)
    mutating func takeAtHand(_ use: PageUse, _ owner: PageOwner) -> PageFrame? {
        guard let block = lists.fullest(use == .tagged ? .room : .untagged),
            let place = freePlace(use, in: block)
        else { return nil }
        return take(place, use, owner)
    }

    @inline(__always)
    mutating func take(_ place: Place, _ use: PageUse, _ owner: PageOwner) -> PageFrame {
        occupy(place, use, PageEntry(use, owner))
        counters.allocations &+= 1
        isStalled = false
        return PageFrame(place, geometry)
    }

    /// Takes a page back.
    ///
    /// - Returns: the state that its block must change to; nil if it stays what it is.
    @inline(__always)
    mutating func giveBack(_ frame: PageFrame) -> BlockState? {
        let place = Place(frame, geometry)
        if hasPins { precondition(!table[place].isPinned, "a pinned page is freed") }
        counters.frees &+= 1
        isStalled = false
        let record = vacated(place)
        if record.settledBits == record.stateBits {
            relist(place.block, record)
            return nil
        }
        table[place.block] = record
        return record.settledState
    }

    /// A free page for the use, its block in the state that this needs; nil if there is none.
    ///
    /// The page stays free. If it is not used after all, `settle` its block.
    @inline(__always)
    mutating func placeAtHand(_ use: PageUse, _ mover: inout (some PageMover & ~Copyable)) -> Place? {
        if let block = lists.fullest(use == .tagged ? .room : .untagged) { return freePlace(use, in: block) }
        return placeElsewhere(use, &mover)
    }

    /// The order avoids migrations later: blocks in untagged use fill up first, their Tag Pages before their Data
    /// Pages, as tagged use could not have those; then a new block; and only when there is none, a Data Page that a
    /// tagged block does not need now, of the block that is the least tagged.
    ///
    /// A tagged page comes from the fullest tagged block, so that others become free; then from a new block.
    private mutating func placeElsewhere(_ use: PageUse, _ mover: inout (some PageMover & ~Copyable))
        -> Place?
    {
        if let block = takeFreeBlock() {
            change(block, to: use == .tagged ? .tagged : .untagged, &mover)
            return freePlace(use, in: block)
        }
        return use == .tagged ? nil : lists.sparsest(.room).flatMap { freeDataPlace(in: $0) }
    }

    /// A free page of a block that is in the state of the use.
    @inline(__always)
    func freePlace(_ use: PageUse, in block: BlockIndex) -> Place? {
        if table.words == 1 {
            let positions = use == .tagged ? geometry.dataPages : geometry.pages
            return table.firstFree(in: block, below: positions, first: geometry.dataPages)
                .map { Place(block, $0) }
        }
        if use == .untagged, table[block].usedTag < geometry.tagPages {
            return table.firstPosition(in: block, geometry.dataPages..<geometry.pages, use: nil)
                .map { Place(block, $0) }
        }
        return freeDataPlace(in: block)
    }

    func freeDataPlace(in block: BlockIndex) -> Place? {
        table.firstPosition(in: block, 0..<geometry.dataPages, use: nil).map { Place(block, $0) }
    }

    /// A block of the pool, which the first page takes out of it, or one that was never used.
    private mutating func takeFreeBlock() -> BlockIndex? {
        if let block = lists.first(.pool) { return block }
        guard freshBlock < layout.blocks else { return nil }
        defer { freshBlock += 1 }
        return BlockIndex(UInt32(freshBlock))
    }
}
