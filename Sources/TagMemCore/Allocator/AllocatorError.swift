/// Why an allocator cannot be made.
public enum AllocatorError: Error, Equatable, CustomStringConvertible {
    /// Neither 4, 16 nor 64 KiB.
    case pageSize(Int)
    /// Not 1 to 64 pages.
    case blockSize(pages: Int)
    /// A region, or its tags, is not a whole number of aligned pages and Tag Blocks of this size.
    case partialBlock(region: PhysicalAddress)
    case noMemory
    /// More blocks than frame numbers reach.
    case tooManyBlocks(Int)
    /// The host refused address space for the tables.
    case noHostMemory(bytes: Int)

    public var description: String {
        switch self {
        case .pageSize(let size): "a page of \(size) bytes is none of 4, 16 and 64 KiB"
        case .blockSize(let pages): "a block size of \(pages) pages is not between 1 and 64"
        case .partialBlock(let region):
            "the memory at \(region), or its tag storage, is not a whole number of aligned Tag Blocks"
        case .noMemory: "the machine has no memory that pages can be allocated from"
        case .tooManyBlocks(let blocks): "\(blocks) Tag Blocks are more than the allocator can number"
        case .noHostMemory(let bytes): "the host refused \(bytes) bytes of address space for the page tables"
        }
    }
}

/// Why there is no page.
public enum AllocationError: Error, Equatable, CustomStringConvertible {
    /// The pages in use leave no room, however they are arranged.
    case noMemory(PageUse)
    /// There would be room, were there not pages in the way that are pinned or whose move was refused.
    case immovable(PageUse)
    /// The mover gave up: the pages that it refused are to be waited for, and then the call is to be made again.
    case mustWait(PageUse)
    /// An atomic allocation found no page without migration, and the reserve is empty.
    case reserveEmpty(PageUse)

    public var description: String {
        switch self {
        case .noMemory(let use): "no memory for another \(use) page"
        case .immovable(let use): "pages that may not move are in the way of another \(use) page"
        case .mustWait(let use): "pages must be waited for before there is another \(use) page"
        case .reserveEmpty(let use): "the reserve of \(use) pages is empty"
        }
    }
}
