/// Where the Tag Blocks are: block and position to physical address, and back.
///
/// ```
///   region r:  data  | block f | block f + 1 | …     f: the region's first block
///              tags  | f | f+1 | …                   g pages each, from the region's tagBase
/// ```
///
/// Blocks that a reservation touches, memory whose tags are hidden, memory that is not MTE-capable and pages of tag
/// storage that hold no tags are not the allocator's.
public struct BlockLayout: Sendable, Equatable {
    struct Region: Sendable, Equatable {
        let firstBlock: Int
        let blocks: Int
        let data: PhysicalAddress
        let tags: PhysicalAddress
    }

    public let geometry: BlockGeometry
    /// The emulated page, in bytes.
    public let pageSize: UInt64
    /// *N*: Tag Blocks in all regions.
    public let blocks: Int
    let regions: [Region]

    /// The blocks of a machine's memory.
    ///
    /// - Parameters:
    ///   - pageSize: 4096, 16384 or 65536.
    ///   - blockSize: pages of tags, and 32 times as many of data, a block.
    public init(map: MemoryMap, pageSize: Int = 4096, blockSize: Int = 1) throws(AllocatorError) {
        guard [4096, 16384, 65536].contains(pageSize) else { throw .pageSize(pageSize) }
        guard (1...64).contains(blockSize) else { throw .blockSize(pages: blockSize) }
        let geometry = BlockGeometry(blockSizeInPages: blockSize)
        let page = UInt64(pageSize)
        let blockBytes = page * UInt64(geometry.dataPages)
        var regions: [Region] = []
        var first = 0
        for region in map.regions {
            guard case .data(let tagBase) = region.kind else { continue }
            guard region.start.isAligned(to: page), region.size % blockBytes == 0, tagBase.isAligned(to: page)
            else { throw .partialBlock(region: region.start) }
            for run in Self.unreservedBlocks(of: region, blockBytes: blockBytes, map.reservations) {
                regions.append(
                    Region(
                        firstBlock: first, blocks: run.count,
                        data: region.start + run.lowerBound * blockBytes,
                        tags: tagBase + run.lowerBound * page * UInt64(blockSize)))
                first += run.count
            }
        }
        try self.init(geometry: geometry, pageSize: page, blocks: first, regions: regions)
    }

    /// `blocks` blocks of any shape, data from address 0 and the Tag Pages behind it: a model without a machine.
    public init(blocks: Int, geometry: BlockGeometry) throws(AllocatorError) {
        let tags = PhysicalAddress(UInt64(blocks * geometry.dataPages) * Page.size)
        try self.init(
            geometry: geometry, pageSize: Page.size, blocks: blocks,
            regions: [Region(firstBlock: 0, blocks: blocks, data: PhysicalAddress(0), tags: tags)])
    }

    private init(
        geometry: BlockGeometry, pageSize: UInt64, blocks: Int, regions: [Region]
    ) throws(AllocatorError) {
        guard blocks > 0 else { throw .noTaggableMemory }
        // A frame holds the block's number above `frameShift` bits, and page tables keep a bit beside it; links hold
        // index + 1.
        guard blocks < Int(Int32.max) >> Int(geometry.frameShift) else { throw .tooManyBlocks(blocks) }
        self.geometry = geometry
        self.pageSize = pageSize
        self.blocks = blocks
        self.regions = regions
    }
}
