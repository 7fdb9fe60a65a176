/// How much there is, and the best that there could be.
///
/// With *A* pages that the layout counts and are not there (*a* of them Tag Pages), counted in *u*, and *S* blocks whose
/// tags are hidden, counted in the tagged ones:
///
///     free  == (d + g) * N - u - t - g * T
///     T     >= max(S, ceil(t / d))
extension PageAllocator {
    /// Pages that there are.
    public var totalPages: Int {
        geometry.pages * layout.blocks - absentPages - geometry.tagPages * fixedBlocks
    }

    /// Tag Pages that there are.
    public var totalTagPages: Int { geometry.tagPages * (layout.blocks - fixedBlocks) - absentTagPages }

    /// Untagged pages in use, the reserve's included.
    public var untaggedInUse: Int { untaggedPages - absentPages }

    /// Tag Pages in use for data.
    public var tagPagesInUse: Int { tagPagesUsed - absentTagPages }

    /// Pages in use that may not move.
    public var pinnedInUse: Int { pinnedPages - absentPages }

    /// Tag Pages reserved for tags.
    public var tagPagesReserved: Int { geometry.tagPages * (taggedBlocks - fixedBlocks) }

    /// Tag Pages that must be reserved for the tagged pages there are: g * ceil(t / d), less what hidden tags save.
    public var tagPagesNeeded: Int {
        geometry.tagPages * (blocksNeeded(tagged: taggedPages) - fixedBlocks)
    }

    /// Pages in no use, reserved Tag Pages aside.
    public var freePages: Int {
        geometry.pages * layout.blocks - untaggedPages - taggedPages - geometry.tagPages * taggedBlocks
    }

    /// How many more pages can be had that are not promised, with every migration that helps, pinned pages staying where
    /// they are. More than one gets only where tagged blocks lend pinned pages and hardly any page is free, see
    /// Documentation/ALLOCATOR.md. Constant time, and a step for each number of pinned pages that a block lends.
    public func available(_ use: PageUse) -> Int { use == .tagged ? availableTagged : availableUntagged }

    /// How many more untagged pages can be had that are not promised, with every migration that helps.
    public var availableUntagged: Int {
        let most = geometry.pages * layout.blocks
        let (untagged, tagged) = (committedUntagged, committedTagged)
        let anywhere = most - untagged - tagged - geometry.tagPages * blocksNeeded(tagged: tagged)
        let pages = (untagged: untaggedPages + promises.untagged, tagged: taggedPages + promises.tagged)
        guard let blocks = blocksNeeded(aroundPinsTagged: pages.tagged) else { return 0 }
        return max(0, min(anywhere, most - pages.untagged - pages.tagged - geometry.tagPages * blocks))
    }

    /// How many more tagged pages can be had that are not promised, with every migration that helps.
    public var availableTagged: Int {
        let left = geometry.pages * layout.blocks - committedUntagged
        let hidden = geometry.dataPages * fixedBlocks
        let anywhere = geometry.mostTagged(untagged: committedUntagged, blocks: layout.blocks)
        // As long as hidden tags suffice, no Tag Page is needed, and none is saved.
        var most = anywhere > hidden ? anywhere : min(hidden, left - geometry.tagPages * fixedBlocks)
        most = min(most, geometry.dataPages * layout.taggableBlocks) - committedTagged
        let aroundPins = mostTaggedAroundPins(untagged: untaggedPages + promises.untagged)
        return max(0, min(most, aroundPins - taggedPages - promises.tagged))
    }

    /// Blocks in tagged use that `tagged` pages need at least.
    func blocksNeeded(tagged: Int) -> Int { max(fixedBlocks, geometry.blocksNeeded(tagged: tagged)) }

    /// Whether that many pages can be held, in some arrangement: u + t + g * T <= (d + g) * N. Pages that are not there
    /// count as untagged.
    func isPossible(untagged: Int, tagged: Int) -> Bool {
        let blocks = blocksNeeded(tagged: tagged)
        return blocks <= layout.taggableBlocks
            && untagged + tagged + geometry.tagPages * blocks <= geometry.pages * layout.blocks
    }

    /// Bytes of address space of the tables, an upper bound of the memory they take.
    public var metadataBytes: Int { table.bytes + lists.bytes }
}
