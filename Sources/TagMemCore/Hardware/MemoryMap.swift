/// Where the machine has memory, and which memory holds whose tags.
///
/// ```
///   0          0x40000000                       0x80000000       0x82000000
///   |   hole   |  data, MTE-capable (1 GiB)     | tag storage    |   …
///              └─ tags of P at tagBase + (P - start) / 32 ───────┘
/// ```
///
/// Regions are sorted, disjoint, page-aligned and not empty. A region of MTE-capable data is a whole number of Tag
/// Blocks, and its tags lie in exactly one region of tag storage, unless they are hidden. Reservations are sorted,
/// disjoint, page-aligned and not empty, and each lies in one region that is not tag storage.
///
/// Immutable, so free to share between threads.
public struct MemoryMap: Sendable, Equatable {
    public struct Region: Sendable, Equatable {
        public enum Kind: Sendable, Equatable {
            /// Data that can be Tagged Normal; the tag byte of its first two granules is at `tagBase`.
            case data(tagBase: PhysicalAddress)
            /// Data that can be Tagged Normal, whose tags have no physical address: a static carveout.
            case dataWithHiddenTags
            /// Memory that is not MTE-capable, and holds no tags either.
            case ordinary
            /// Holds the tags of other memory, and has none itself.
            case tagStorage
        }

        public let start: PhysicalAddress
        /// In bytes.
        public let size: UInt64
        public let kind: Kind
        /// The NUMA node that the memory belongs to, if the machine has any.
        public let numaNode: UInt32?
        /// Of tag storage: the bytes of it whose tags are of contiguous memory. More than a page where the memory
        /// controller interleaves tag writes.
        public let blockSize: UInt64

        public init(
            start: PhysicalAddress, size: UInt64, kind: Kind, numaNode: UInt32? = nil,
            blockSize: UInt64 = Page.size
        ) {
            self.start = start
            self.size = size
            self.kind = kind
            self.numaNode = numaNode
            self.blockSize = blockSize
        }

        /// Whether the memory can be Tagged Normal.
        public var isMTECapable: Bool {
            switch kind {
            case .data, .dataWithHiddenTags: true
            case .ordinary, .tagStorage: false
            }
        }

        /// The first address behind the region.
        @inlinable
        public var end: PhysicalAddress { start + size }

        @inlinable
        public func contains(_ address: PhysicalAddress) -> Bool { start <= address && address < end }
    }

    /// Memory that is there and is not the allocator's: firmware's, a device's.
    public struct Reservation: Sendable, Equatable {
        public let start: PhysicalAddress
        /// In bytes.
        public let size: UInt64
        /// The operating system must not map it either.
        public let isUnmapped: Bool

        public init(start: PhysicalAddress, size: UInt64, isUnmapped: Bool = false) {
            self.start = start
            self.size = size
            self.isUnmapped = isUnmapped
        }

        /// The first address behind the reservation.
        public var end: PhysicalAddress { start + size }
    }

    /// Sorted by address.
    public let regions: [Region]
    /// Sorted by address.
    public let reservations: [Reservation]
    /// All regions that have memory behind them: `regions` under the same indices, then the storage of hidden tags.
    public let banks: [Region]

    /// - Throws: `MemoryMapError` if the regions or reservations break one of the rules above.
    public init(regions: [Region], reservations: [Reservation] = []) throws(MemoryMapError) {
        let sorted = regions.sorted { $0.start < $1.start }
        try Self.validate(sorted)
        self.regions = sorted
        self.reservations = reservations.sorted { $0.start < $1.start }
        banks = sorted + Self.storageOfHiddenTags(sorted)
        try Self.validate(self.reservations, in: sorted)
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

    /// The same memory with tag storage in blocks of `size` bytes.
    public func withBlockSize(_ size: UInt64) throws(MemoryMapError) -> MemoryMap {
        try MemoryMap(
            regions: regions.map {
                Region(
                    start: $0.start, size: $0.size, kind: $0.kind, numaNode: $0.numaNode,
                    blockSize: $0.kind == .tagStorage ? size : $0.blockSize)
            }, reservations: reservations)
    }

    /// The data that one Tag Page serves: 32 pages.
    public static let dataBytesPerBlock = Page.size * TagGranule.bytesPerTagByte

    /// The first address behind all memory.
    public var end: PhysicalAddress { regions.last?.end ?? PhysicalAddress(0) }
}
