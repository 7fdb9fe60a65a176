/// Which Tag Blocks the allocator may have.
extension BlockLayout {
    /// The region's blocks that no reservation touches, as runs of consecutive ones.
    ///
    /// Tag storage is never reserved, so a block is touched where its data is.
    static func unreservedBlocks(
        of region: MemoryMap.Region, blockBytes: UInt64, _ reservations: [MemoryMap.Reservation]
    ) -> [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        var first: UInt64 = 0
        for reservation in reservations where region.contains(reservation.start) {
            let touched = (reservation.start - region.start) / blockBytes
            if first < touched { runs.append(first..<touched) }
            first = max(first, (reservation.end - region.start + blockBytes - 1) / blockBytes)
        }
        let blocks = region.size / blockBytes
        if first < blocks { runs.append(first..<blocks) }
        return runs
    }
}
