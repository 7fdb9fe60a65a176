/// Where the machine has memory, and which memory holds whose tags.
///
/// ```
///   0          0x40000000                       0x80000000       0x82000000
///   |   hole   |  data, MTE-capable (1 GiB)     | tag storage    |   …
///              └─ tags of P at tagBase + (P - start) / 32 ───────┘
/// ```
///
/// Regions are sorted, disjoint, page-aligned and not empty; a region of MTE-capable data is a whole number of Tag
/// Blocks, and its tags lie in exactly one region of tag storage. Immutable, so free to share between threads.
public struct MemoryMap: Sendable, Equatable {
    public struct Region: Sendable, Equatable {
        public enum Kind: Sendable, Equatable {
            /// Data that can be Tagged Normal; the tag byte of its first two granules is at `tagBase`.
            case data(tagBase: PhysicalAddress)
            /// Holds the tags of other memory, and has none itself.
            case tagStorage
        }

        public let start: PhysicalAddress
        /// In bytes.
        public let size: UInt64
        public let kind: Kind

        public init(start: PhysicalAddress, size: UInt64, kind: Kind) {
            self.start = start
            self.size = size
            self.kind = kind
        }

        /// The first address behind the region.
        @inlinable
        public var end: PhysicalAddress { start + size }

        @inlinable
        public func contains(_ address: PhysicalAddress) -> Bool { start <= address && address < end }
    }

    /// Sorted by address.
    public let regions: [Region]

    /// - Throws: `MemoryMapError` if the regions break one of the rules above.
    public init(regions: [Region]) throws(MemoryMapError) {
        let sorted = regions.sorted { $0.start < $1.start }
        try Self.validate(sorted)
        self.regions = sorted
    }

    /// `size` bytes of data at `base`, rounded up to whole Tag Blocks, and their tag storage right behind.
    public init(base: PhysicalAddress, size: UInt64) throws(MemoryMapError) {
        let block = Self.dataBytesPerBlock
        guard size > 0 else { throw .emptyRegion(base) }
        guard size <= PhysicalAddress.limit else { throw .outOfRange(base, size: size) }
        let dataSize = (size + block - 1) / block * block
        guard base.rawValue < PhysicalAddress.limit, base.rawValue + dataSize < PhysicalAddress.limit
        else { throw .outOfRange(base, size: dataSize) }
        let tagBase = base + dataSize
        try self.init(regions: [
            Region(start: base, size: dataSize, kind: .data(tagBase: tagBase)),
            Region(start: tagBase, size: dataSize / TagGranule.bytesPerTagByte, kind: .tagStorage),
        ])
    }

    /// The data that one Tag Page serves: 32 pages.
    public static let dataBytesPerBlock = Page.size * TagGranule.bytesPerTagByte

    /// The first address behind all memory.
    public var end: PhysicalAddress { regions.last?.end ?? PhysicalAddress(0) }

    /// Bytes of MTE-capable data memory.
    public var dataSize: UInt64 {
        regions.reduce(0) { if case .data = $1.kind { $0 + $1.size } else { $0 } }
    }

    /// Bytes of tag storage.
    public var tagStorageSize: UInt64 {
        regions.reduce(0) { if case .tagStorage = $1.kind { $0 + $1.size } else { $0 } }
    }

    private static func validate(_ sorted: [Region]) throws(MemoryMapError) {
        guard !sorted.isEmpty else { throw .noMemory }
        var previousEnd = PhysicalAddress(0)
        for region in sorted {
            guard region.size > 0 else { throw .emptyRegion(region.start) }
            guard region.start.rawValue < PhysicalAddress.limit,
                region.size <= PhysicalAddress.limit - region.start.rawValue
            else { throw .outOfRange(region.start, size: region.size) }
            guard region.start.isAligned(to: Page.size), region.size % Page.size == 0 else {
                throw .misaligned(region.start, size: region.size)
            }
            guard previousEnd <= region.start else { throw .overlap(region.start) }
            previousEnd = region.end
        }
        var tagRanges: [(start: PhysicalAddress, end: PhysicalAddress)] = []
        for region in sorted {
            guard case .data(let tagBase) = region.kind else { continue }
            guard region.start.isAligned(to: dataBytesPerBlock), region.size % dataBytesPerBlock == 0,
                tagBase.isAligned(to: Page.size)
            else { throw .misaligned(region.start, size: region.size) }
            let tagSize = region.size / TagGranule.bytesPerTagByte
            let holdsTags = sorted.contains {
                $0.kind == .tagStorage && $0.contains(tagBase) && tagSize <= $0.end - tagBase
            }
            guard holdsTags else { throw .tagStorageMissing(of: region.start) }
            tagRanges.append((tagBase, tagBase + tagSize))
        }
        tagRanges.sort { $0.start < $1.start }
        for (left, right) in zip(tagRanges, tagRanges.dropFirst()) where right.start < left.end {
            throw .tagStorageShared(right.start)
        }
    }
}

/// What is wrong with a memory map.
public enum MemoryMapError: Error, Equatable, CustomStringConvertible {
    case noMemory
    case emptyRegion(PhysicalAddress)
    case outOfRange(PhysicalAddress, size: UInt64)
    case misaligned(PhysicalAddress, size: UInt64)
    case overlap(PhysicalAddress)
    case tagStorageMissing(of: PhysicalAddress)
    case tagStorageShared(PhysicalAddress)

    public var description: String {
        switch self {
        case .noMemory: "the machine has no memory"
        case .emptyRegion(let start): "the memory at \(start) has size 0"
        case .outOfRange(let start, let size):
            "\(size) bytes of memory at \(start) reach past the 52-bit physical address space"
        case .misaligned(let start, let size):
            "the memory at \(start) (\(size) bytes) is not a whole number of aligned Tag Blocks (128 KiB)"
        case .overlap(let start): "the memory at \(start) overlaps the memory before it"
        case .tagStorageMissing(let start): "no tag storage holds all tags of the memory at \(start)"
        case .tagStorageShared(let start): "the tag storage at \(start) would hold the tags of two memories"
        }
    }
}
