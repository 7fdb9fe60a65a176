/// Tags that exist and have no physical address.
///
/// They are stored as all tags are, in banks of tag storage. Their banks lie behind the end of the physical address
/// space, where no access of the machine reaches:
///
/// ```
///   0                                            2^52
///   │ …  dataWithHiddenTags A │ …  B │ …         │ tags of A │ tags of B │
/// ```
extension MemoryMap {
    /// Where the tag byte of the region's first two granules is: a physical address, or one behind them all if the
    /// tags are hidden; nil where memory is not MTE-capable.
    public func tagBase(of region: Region) -> PhysicalAddress? {
        switch region.kind {
        case .data(let tagBase): tagBase
        case .dataWithHiddenTags: hiddenTagBase(of: region)
        case .ordinary, .tagStorage: nil
        }
    }

    private func hiddenTagBase(of region: Region) -> PhysicalAddress? {
        let before = regions.prefix { $0.start < region.start }
        return before.reduce(PhysicalAddress(PhysicalAddress.limit)) { $0 + Self.hiddenTagSize(of: $1) }
    }

    /// The banks of hidden tags, in the order of the memory that they belong to.
    static func storageOfHiddenTags(_ regions: [Region]) -> [Region] {
        var storage: [Region] = []
        var start = PhysicalAddress(PhysicalAddress.limit)
        for region in regions where region.kind == .dataWithHiddenTags {
            let size = hiddenTagSize(of: region)
            storage.append(Region(start: start, size: size, kind: .tagStorage, numaNode: region.numaNode))
            start = start + size
        }
        return storage
    }

    /// Bytes of the region's hidden tags: whole pages, since the region is whole Tag Blocks.
    private static func hiddenTagSize(of region: Region) -> UInt64 {
        region.kind == .dataWithHiddenTags ? region.size / TagGranule.bytesPerTagByte : 0
    }
}
