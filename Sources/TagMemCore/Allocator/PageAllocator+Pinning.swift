/// Pages that must stay where they are for a while.
extension PageAllocator {
    /// Whether there are pinned pages, beside those that are not there.
    @inline(__always)
    var hasPins: Bool { pinnedPages > absentPages }

    /// Forbids to move a page that is in use. Pins do not nest: the owner counts.
    public mutating func pin(_ frame: PageFrame) { setPinned(true, frame) }

    /// Allows a pinned page to move again.
    public mutating func unpin(_ frame: PageFrame) {
        setPinned(false, frame)
        isStalled = false
    }

    private mutating func setPinned(_ isPinned: Bool, _ frame: PageFrame) {
        let place = Place(frame, geometry)
        let entry = table[place]
        guard let use = entry.use else { preconditionFailure("a free page is pinned or unpinned") }
        precondition(
            entry.isPinned != isPinned, isPinned ? "the page is pinned already" : "the page is not pinned")
        table[place] = entry.pinned(isPinned)
        countPin(place, use, isPinned)
        pinnedPages += isPinned ? 1 : -1
        lists.setHasPinnedPages(place.block, isPinned || hasPinnedPages(place.block))
    }

    /// The pinned pages from a frame on, in the order of frames.
    ///
    /// Blocks without pinned pages take no time. Nothing but the frame has to be kept between two calls.
    ///
    /// - Parameters:
    ///   - frame: Where to begin; nil for the first.
    ///   - budget: Pages of blocks with pinned pages that are looked at, one at least.
    /// - Returns: where to go on; nil behind the last.
    public func forEachPinned(
        from frame: PageFrame? = nil, budget: Int, _ body: (PageFrame, PageOwner, PageUse) -> Void
    ) -> PageFrame? {
        var left = max(1, budget)
        let start = frame.map { Place($0, geometry) } ?? Place(BlockIndex(0), 0)
        var position = start.position
        var next = lists.nextWithPinnedPages(from: start.block.offset)
        while let block = next {
            if block != start.block { position = 0 }
            while position < geometry.pages {
                guard left > 0 else { return PageFrame(Place(block, position), geometry) }
                if let entry = pinned(Place(block, position)), let use = entry.use {
                    body(PageFrame(Place(block, position), geometry), entry.owner, use)
                }
                position += 1
                left -= 1
            }
            next = lists.nextWithPinnedPages(from: block.offset + 1)
        }
        return nil
    }

    /// A page's entry, if somebody has pinned it: no page that is not there.
    private func pinned(_ place: Place) -> PageEntry? {
        let entry = table[place]
        return entry.isPinned && entry.owner.isOutside ? entry : nil
    }

    /// Tag Pages that are not there are pins, too, and do not count.
    private func hasPinnedPages(_ block: BlockIndex) -> Bool {
        guard block.offset < layout.specialBlocks else { return table[block].hasPins }
        return table[block].pinnedData > 0
            || (0..<geometry.pages).contains { pinned(Place(block, $0)) != nil }
    }

    /// A page of the use is pinned from now on, or no longer, in its block.
    mutating func countPin(_ place: Place, _ use: PageUse, _ isPinned: Bool) {
        let record = table[place.block]
        let pinned = record.pinning(use, isTagPage: isTagPage(place), isPinned)
        table[place.block] = pinned
        pinnedBlocks.change(from: record, to: pinned)
        if record.state == .tagged, use == .untagged { pinnedLent += isPinned ? 1 : -1 }
    }
}
