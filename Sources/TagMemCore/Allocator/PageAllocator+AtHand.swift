/// Pages that can be had without moving another: constant time.
extension PageAllocator {
    /// A free page for the use, its block in the state that this needs; nil if there is none.
    ///
    /// The page stays free. If it is not used after all, `settle` its block.
    @inline(__always)
    mutating func placeAtHand(_ use: PageUse, _ mover: inout some PageMover) -> Place? {
        use == .untagged ? untaggedPlace(&mover) : taggedPlace(&mover)
    }

    /// The order avoids migrations later: blocks in untagged use fill up first, their Tag Pages before their Data
    /// Pages, as tagged use could not have those; then a new block; and only when there is none, a Data Page that a
    /// tagged block does not need now, of the block that is the least tagged.
    private mutating func untaggedPlace(_ mover: inout some PageMover) -> Place? {
        if let block = lists.fullest(.untagged) { return untaggedPlace(in: block) }
        if let block = takeFreeBlock() {
            change(block, to: .untagged, &mover)
            return untaggedPlace(in: block)
        }
        return lists.sparsest(.room).flatMap { freeDataPlace(in: $0) }
    }

    /// The fullest tagged block, so that others become free; then a new block.
    private mutating func taggedPlace(_ mover: inout some PageMover) -> Place? {
        if let block = lists.fullest(.room) { return freeDataPlace(in: block) }
        guard let block = takeFreeBlock() else { return nil }
        change(block, to: .tagged, &mover)
        return freeDataPlace(in: block)
    }

    @inline(__always)
    func untaggedPlace(in block: BlockIndex) -> Place? {
        if Int(table[block].usedTag) < geometry.tagPages {
            return table.firstPosition(in: block, geometry.dataPages..<geometry.pages, used: false)
                .map { Place(block, $0) }
        }
        return freeDataPlace(in: block)
    }

    @inline(__always)
    func freeDataPlace(in block: BlockIndex) -> Place? {
        table.firstPosition(in: block, 0..<geometry.dataPages, used: false).map { Place(block, $0) }
    }

    /// A block of the pool, which `change` takes out of it; the one that was freed last, or one that was never used.
    private mutating func takeFreeBlock() -> BlockIndex? {
        let head = lists[.pool]
        if head != 0 { return BlockIndex(head - 1) }
        guard freshBlock < layout.blocks else { return nil }
        defer { freshBlock += 1 }
        return BlockIndex(UInt32(freshBlock))
    }
}
