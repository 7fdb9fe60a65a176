/// What is possible where pinned pages stay where they are.
///
/// A block with a pinned tagged page stays tagged, one with a pinned page in its Tag Pages stays untagged, and a tagged
/// block has no room for tagged pages where it lends pinned ones. As few blocks as possible are those that must be tagged
/// and then those with the most room. With nothing pinned that is ceil(t / d).
extension PageAllocator {
    /// Blocks in tagged use that `tagged` pages need at least; nil if they have no room.
    func blocksNeeded(aroundPinsTagged tagged: Int) -> Int? {
        var needed = pinnedBlocks.tagged
        var left = tagged - pinnedBlocks.taggedRoom
        if left <= 0 { return needed }
        pinnedBlocks.forEachKind(of: layout.blocks) { blocks, room in
            let taken = min(blocks, (left + room - 1) / room)
            needed += taken
            left -= taken * room
            return left > 0
        }
        return left > 0 ? nil : needed
    }

    /// Whether that many pages can be held.
    func isPossibleAroundPins(untagged: Int, tagged: Int) -> Bool {
        guard let blocks = blocksNeeded(aroundPinsTagged: tagged) else { return false }
        return untagged + tagged + geometry.tagPages * blocks <= geometry.pages * layout.blocks
    }

    /// The most tagged pages beside `untagged` untagged ones.
    func mostTaggedAroundPins(untagged: Int) -> Int {
        // Each tagged block more makes room for tagged pages and leaves fewer pages: the most is where the two meet.
        var left = geometry.pages * layout.blocks - untagged - geometry.tagPages * pinnedBlocks.tagged
        var room = pinnedBlocks.taggedRoom
        var best = min(room, left)
        pinnedBlocks.forEachKind(of: layout.blocks) { blocks, roomOfEach in
            let meeting = max(0, left - room) / (roomOfEach + geometry.tagPages)
            func most(of taken: Int) -> Int {
                min(room + taken * roomOfEach, left - taken * geometry.tagPages)
            }
            best = max(best, most(of: min(blocks, meeting)), most(of: min(blocks, meeting + 1)))
            room += blocks * roomOfEach
            left -= blocks * geometry.tagPages
            return room < left
        }
        return best
    }
}
