/// The rules of a memory map. All parameters are sorted by address.
extension MemoryMap {
    static func validate(_ regions: [Region]) throws(MemoryMapError) {
        guard !regions.isEmpty else { throw .noMemory }
        var previousEnd = PhysicalAddress(0)
        for region in regions {
            try validate(region)
            guard previousEnd <= region.start else { throw .overlap(region.start) }
            previousEnd = region.end
        }
        try validateTags(regions)
    }

    private static func validate(_ region: Region) throws(MemoryMapError) {
        guard region.size > 0 else { throw .emptyRegion(region.start) }
        guard region.start.rawValue < PhysicalAddress.limit,
            region.size <= PhysicalAddress.limit - region.start.rawValue
        else { throw .outOfRange(region.start, size: region.size) }
        let unit = region.isMTECapable ? dataBytesPerBlock : Page.size
        guard region.start.isAligned(to: unit), region.size % unit == 0 else {
            throw .misaligned(region.start, size: region.size)
        }
        guard region.kind == .tagStorage else { return }
        guard region.blockSize > 0, region.blockSize % Page.size == 0 else {
            throw .blockSize(region.blockSize, of: region.start)
        }
    }

    /// That all addressable tags lie in tag storage, in whole blocks, and each tag byte is of one memory.
    private static func validateTags(_ regions: [Region]) throws(MemoryMapError) {
        var tagRanges: [(start: PhysicalAddress, end: PhysicalAddress)] = []
        for region in regions {
            guard case .data(let tagBase) = region.kind else { continue }
            guard tagBase.isAligned(to: Page.size) else {
                throw .misaligned(region.start, size: region.size)
            }
            let tagSize = region.size / TagGranule.bytesPerTagByte
            let storage = regions.first {
                $0.kind == .tagStorage && $0.contains(tagBase) && tagSize <= $0.end - tagBase
            }
            guard let storage else { throw .tagStorageMissing(of: region.start) }
            guard tagSize % storage.blockSize == 0, (tagBase - storage.start) % storage.blockSize == 0 else {
                throw .partialBlock(of: region.start, blockSize: storage.blockSize)
            }
            tagRanges.append((tagBase, tagBase + tagSize))
        }
        tagRanges.sort { $0.start < $1.start }
        for (left, right) in zip(tagRanges, tagRanges.dropFirst()) where right.start < left.end {
            throw .tagStorageShared(right.start)
        }
    }

    static func validate(_ reservations: [Reservation], in regions: [Region]) throws(MemoryMapError) {
        var previousEnd = PhysicalAddress(0)
        for reservation in reservations {
            guard reservation.size > 0 else { throw .emptyRegion(reservation.start) }
            guard reservation.start.isAligned(to: Page.size), reservation.size % Page.size == 0 else {
                throw .misaligned(reservation.start, size: reservation.size)
            }
            guard previousEnd <= reservation.start else { throw .overlap(reservation.start) }
            let isInside = regions.contains {
                $0.kind != .tagStorage && $0.contains(reservation.start)
                    && reservation.size <= $0.end - reservation.start
            }
            guard isInside else { throw .reservedElsewhere(reservation.start, size: reservation.size) }
            previousEnd = reservation.end
        }
    }
}
