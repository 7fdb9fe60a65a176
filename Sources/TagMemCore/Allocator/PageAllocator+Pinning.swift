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
