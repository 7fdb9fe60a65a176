/// Where the Tag Blocks are: block and position to physical address, and back.
///
/// ```
///   region r:  data  | block f | block f + 1 | …     f: the region's first block
///              tags  | f | f+1 | …                   g pages each, from the region's tagBase
/// ```
///
/// Ordinary memory and memory whose tags are hidden are in blocks, too, without the Tag Pages. They come first, and with
/// them blocks of which a part is reserved; then the whole Tag Blocks, by address. Pages of tag storage that hold no tags
/// are not the allocator's.
public struct BlockLayout: Sendable, Equatable {
    struct Region: Sendable, Equatable {
        enum Kind: Sendable, Equatable {
            /// Not MTE-capable: there are no Tag Pages.
            case ordinary
            /// The Tag Pages have no address.
            case hiddenTags
            /// The Tag Pages are memory.
            case shared
        }

        var firstBlock = 0
        let blocks: Int
        let data: PhysicalAddress
        /// Of `.shared` regions.
        let tags: PhysicalAddress
        var kind = Kind.shared
    }

    /// Pages of a block that are not there: reserved memory, or behind the end of a region.
    struct Absence: Sendable, Equatable {
        let block: BlockIndex
        let positions: Range<Int>
    }

    public let geometry: BlockGeometry
    /// The emulated page, in bytes.
    public let pageSize: UInt64
    /// *N*: Tag Blocks in all regions.
    public let blocks: Int
    let regions: [Region]
    let absences: [Absence]
    /// Blocks below this one are not whole Tag Blocks.
    let specialBlocks: Int
    /// Blocks that can hold tagged pages.
    let taggableBlocks: Int
    /// Blocks that have Tag Pages: all but those of ordinary memory and of hidden tags, which come first.
    public let tagBlocks: Range<Int>

    /// The blocks of a machine's memory.
    ///
    /// - Parameters:
    ///   - pageSize: 4096, 16384 or 65536.
    ///   - blockSize: pages of tags, and 32 times as many of data, a block.
    public init(map: MemoryMap, pageSize: Int = 4096, blockSize: Int = 1) throws(AllocatorError) {
        guard [4096, 16384, 65536].contains(pageSize) else { throw .pageSize(pageSize) }
        guard (1...64).contains(blockSize) else { throw .blockSize(pages: blockSize) }
        var builder = BlockLayoutBuilder(
            geometry: BlockGeometry(blockSizeInPages: blockSize), pageSize: UInt64(pageSize))
        try builder.add(map)
        try self.init(builder)
    }

    /// `blocks` blocks of any shape, data from address 0 and the Tag Pages behind it: a model without a machine.
    public init(blocks: Int, geometry: BlockGeometry) throws(AllocatorError) {
        let tags = PhysicalAddress(UInt64(blocks * geometry.dataPages) * Page.size)
        var builder = BlockLayoutBuilder(geometry: geometry, pageSize: Page.size)
        builder.whole.append(Region(blocks: blocks, data: PhysicalAddress(0), tags: tags))
        try self.init(builder)
    }

    private init(_ builder: BlockLayoutBuilder) throws(AllocatorError) {
        geometry = builder.geometry
        pageSize = builder.pageSize
        blocks = builder.whole.reduce(builder.special.reduce(0) { $0 + $1.region.blocks }) { $0 + $1.blocks }
        guard blocks > 0 else { throw .noMemory }
        // A frame holds the block's number above `frameShift` bits, and page tables keep a bit beside it.
        guard blocks < Int(Int32.max) >> Int(geometry.frameShift) else { throw .tooManyBlocks(blocks) }
        var first = 0
        var absences: [Absence] = []
        var regions: [Region] = []
        func add(_ region: Region, _ absent: [(block: Int, positions: Range<Int>)] = []) {
            var region = region
            region.firstBlock = first
            absences += absent.map {
                Absence(block: BlockIndex(UInt32(first + $0.block)), positions: $0.positions)
            }
            regions.append(region)
            first += region.blocks
        }
        for (region, absent) in builder.special where region.kind != .shared { add(region, absent) }
        let firstTagBlock = first
        for (region, absent) in builder.special where region.kind == .shared { add(region, absent) }
        specialBlocks = first
        for region in builder.whole { add(region) }
        tagBlocks = firstTagBlock..<first
        taggableBlocks = regions.reduce(0) { $0 + ($1.kind == .ordinary ? 0 : $1.blocks) }
        self.regions = regions
        self.absences = absences
    }
}
