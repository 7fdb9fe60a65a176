/// A Tag Block as a line of `blocks` shows it.
public struct BlockInfo: Sendable, Equatable {
    public let index: BlockIndex
    /// Of the first Data Page, and of the first Tag Page.
    public let address: PhysicalAddress
    public let tagPageAddress: PhysicalAddress
    public let state: BlockState
    /// Data Pages in tagged use, and in untagged use (lent, if the block is tagged).
    public let taggedPages: Int
    public let untaggedDataPages: Int
    public let freeDataPages: Int
    /// Tag Pages in use for data, and reserved for tags; the others are free.
    public let tagPagesUsed: Int
    public let tagPagesReserved: Int
    public let pinnedPages: Int
    /// What the Tag Pages were last made safe for.
    public let tagPageUse: TagPageUse
}

extension PageAllocator {
    /// Constant time.
    public func info(of block: BlockIndex) -> BlockInfo {
        let record = table[block]
        return BlockInfo(
            index: block, address: layout.address(of: block),
            tagPageAddress: layout.tagPageAddress(of: block),
            state: record.state, taggedPages: record.tagged, untaggedDataPages: record.lent,
            freeDataPages: geometry.dataPages - record.usedData, tagPagesUsed: record.usedTag,
            tagPagesReserved: record.state == .tagged ? geometry.tagPages : 0,
            pinnedPages: record.pinnedTagged + record.pinnedData + record.pinnedTag,
            tagPageUse: record.tagPageUse)
    }

    /// Blocks from this one on have been free since the allocator was made.
    public var blocksEverUsed: Int { freshBlock }

    /// Every block in order, in constant memory.
    public func forEachBlock<Failure: Error>(_ body: (BlockInfo) throws(Failure) -> Void) throws(Failure) {
        for index in 0..<layout.blocks { try body(info(of: BlockIndex(UInt32(index)))) }
    }
}
