/// How much there is, and the best that there could be.
extension PageAllocator {
    /// (d + g) * N.
    public var totalPages: Int { geometry.pages * layout.blocks }

    /// Tag Pages reserved for tags: g * taggedBlocks.
    public var tagPagesReserved: Int { geometry.tagPages * taggedBlocks }

    /// Tag Pages that must be reserved for the tagged pages there are: g * ceil(t / d).
    public var tagPagesNeeded: Int { geometry.tagPages * geometry.blocksNeeded(tagged: taggedPages) }

    /// (d + g) * N - u - t - g * taggedBlocks.
    public var freePages: Int { totalPages - untaggedPages - taggedPages - tagPagesReserved }

    /// How many more untagged pages can be had, with every migration that helps.
    public var availableUntagged: Int { totalPages - untaggedPages - taggedPages - tagPagesNeeded }

    /// How many more tagged pages can be had, with every migration that helps.
    public var availableTagged: Int {
        geometry.mostTagged(untagged: untaggedPages, blocks: layout.blocks) - taggedPages
    }

    /// Bytes of address space of the tables, an upper bound of the memory they take.
    public var metadataBytes: Int { table.bytes + lists.bytes }
}
