/// Cuts a machine's memory into blocks.
struct BlockLayoutBuilder {
    let geometry: BlockGeometry
    let pageSize: UInt64
    /// Whole Tag Blocks, by address.
    var whole: [BlockLayout.Region] = []
    /// The others, each with the pages of its blocks that are not there.
    var special: [(region: BlockLayout.Region, absent: [(block: Int, positions: Range<Int>)])] = []

    private var blockBytes: UInt64 { pageSize * UInt64(geometry.dataPages) }

    init(geometry: BlockGeometry, pageSize: UInt64) {
        self.geometry = geometry
        self.pageSize = pageSize
    }

    /// - Throws: `.partialBlock` where Data Pages with Tag Pages are not whole aligned Tag Blocks.
    mutating func add(_ map: MemoryMap) throws(AllocatorError) {
        for region in map.regions {
            switch region.kind {
            case .tagStorage: break
            case .ordinary: addPages(of: region, .ordinary, map.reservations)
            case .dataWithHiddenTags: addPages(of: region, .hiddenTags, map.reservations)
            case .data(let tagBase): try addTagBlocks(of: region, tagBase, map.reservations)
            }
        }
    }

    /// Memory without Tag Pages: as many whole pages as there are, in one run of blocks.
    private mutating func addPages(
        of region: MemoryMap.Region, _ kind: BlockLayout.Region.Kind, _ reservations: [MemoryMap.Reservation]
    ) {
        let start = (region.start.rawValue + pageSize - 1) / pageSize * pageSize
        let end = region.end.rawValue / pageSize * pageSize
        guard start < end else { return }
        let blocks = Int((end - start + blockBytes - 1) / blockBytes)
        let data = PhysicalAddress(start)
        var absent = reservedPages(from: data, blocks: blocks, reservations)
        let last = Int((end - start) / pageSize) - (blocks - 1) * geometry.dataPages
        if last < geometry.dataPages { absent.append((blocks - 1, last..<geometry.dataPages)) }
        special.append(
            (
                BlockLayout.Region(blocks: blocks, data: data, tags: data, kind: kind),
                Self.disjoint(absent)
            ))
    }

    /// Tag Blocks: runs of whole ones, and those that reservations touch one by one, if anything is left of them.
    private mutating func addTagBlocks(
        of region: MemoryMap.Region, _ tagBase: PhysicalAddress, _ reservations: [MemoryMap.Reservation]
    ) throws(AllocatorError) {
        guard region.start.isAligned(to: pageSize), region.size % blockBytes == 0,
            tagBase.isAligned(to: pageSize)
        else { throw .partialBlock(region: region.start) }
        let tagBytes = pageSize * UInt64(geometry.tagPages)
        func make(_ blocks: Range<Int>) -> BlockLayout.Region {
            BlockLayout.Region(
                blocks: blocks.count, data: region.start + UInt64(blocks.lowerBound) * blockBytes,
                tags: tagBase + UInt64(blocks.lowerBound) * tagBytes)
        }
        let blocks = Int(region.size / blockBytes)
        let reserved = Dictionary(
            grouping: Self.disjoint(reservedPages(from: region.start, blocks: blocks, reservations)),
            by: \.block)
        var first = 0
        for block in reserved.keys.sorted() {
            if first < block { whole.append(make(first..<block)) }
            first = block + 1
            let positions = reserved[block, default: []].map(\.positions)
            // Its Tag Pages could hold data, but a block without Data Pages is of no use to tagged pages.
            if positions.reduce(0, { $0 + $1.count }) < geometry.dataPages {
                special.append((make(block..<first), positions.map { (0, $0) }))
            }
        }
        if first < blocks { whole.append(make(first..<blocks)) }
    }

    /// The Data Pages of blocks from `data` on that reservations touch.
    private func reservedPages(
        from data: PhysicalAddress, blocks: Int, _ reservations: [MemoryMap.Reservation]
    ) -> [(block: Int, positions: Range<Int>)] {
        let end = data + UInt64(blocks) * blockBytes
        var pages: [(block: Int, positions: Range<Int>)] = []
        for reservation in reservations where reservation.start < end && data < reservation.end {
            let from = reservation.start < data ? 0 : (reservation.start - data) / pageSize
            let to = (min(reservation.end, end) - data + pageSize - 1) / pageSize
            var page = Int(from)
            while page < Int(to) {
                let (block, position) = page.quotientAndRemainder(dividingBy: geometry.dataPages)
                let next = min(Int(to), (block + 1) * geometry.dataPages)
                pages.append((block, position..<position + (next - page)))
                page = next
            }
        }
        return pages
    }

    /// The same positions, each once: two reservations can touch one page.
    private static func disjoint(
        _ pages: [(block: Int, positions: Range<Int>)]
    ) -> [(block: Int, positions: Range<Int>)] {
        var result: [(block: Int, positions: Range<Int>)] = []
        for page in pages.sorted(by: {
            ($0.block, $0.positions.lowerBound) < ($1.block, $1.positions.lowerBound)
        }) {
            var positions = page.positions
            if let last = result.last, last.block == page.block,
                last.positions.upperBound > positions.lowerBound
            {
                let start = min(last.positions.upperBound, positions.upperBound)
                positions = start..<positions.upperBound
            }
            if !positions.isEmpty { result.append((page.block, positions)) }
        }
        return result
    }
}
