import TagMemCore

/// The memory map that checked nodes describe.
extension MemoryNodes {
    func makeMap() throws(DeviceTreeError) -> MemoryMap {
        var regions = storageRegions()
        for (range, node) in dataRanges { regions += try dataRegions(range, node) }
        let reservations = reservations(in: regions)
        // Tag storage cuts memory, and memory reservations, into more than the tree has of them.
        guard max(regions.count, reservations.count) <= Self.mostRanges else {
            throw DeviceTreeError(.tooMany("pieces of memory", limit: Self.mostRanges), node: "/")
        }
        do throws(MemoryMapError) {
            return try MemoryMap(regions: regions, reservations: reservations)
        } catch {
            throw DeviceTreeError(.map(error), node: "/")
        }
    }

    /// Tag storage that touches is one region: a memory's tags may be described in parts.
    private func storageRegions() -> [MemoryMap.Region] {
        var regions: [MemoryMap.Region] = []
        for node in storage {
            let place = memoryNode(of: node)
            var start = node.range.start
            let numaNode = place == nil ? node.inheritedNUMANode : place?.numaNode
            if let last = regions.last, last.end == start, last.numaNode == numaNode,
                last.blockSize == node.blockSize
            {
                start = last.start
                regions.removeLast()
            }
            regions.append(
                MemoryMap.Region(
                    start: start, size: node.range.upperBound - start.rawValue, kind: .tagStorage,
                    numaNode: numaNode, blockSize: node.blockSize))
        }
        return regions
    }

    /// Memory without tag storage in it, cut where its tags are described by another node.
    private func dataRegions(
        _ piece: AddressRange, _ memory: MemoryNode
    ) throws(DeviceTreeError) -> [MemoryMap.Region] {
        let parts = storage.filter { $0.tagged.overlaps(piece) }
            .sorted { $0.tagged.lowerBound < $1.tagged.lowerBound }
        if parts.isEmpty {
            if memory.describesTags { try requireTagBlocks(piece, memory) }
            return [
                MemoryMap.Region(
                    start: piece.start, size: piece.size,
                    kind: memory.describesTags ? .dataWithHiddenTags : .ordinary, numaNode: memory.numaNode)
            ]
        }
        var regions: [MemoryMap.Region] = []
        for node in parts {
            guard let range = node.tagged.intersection(piece) else { continue }
            try requireTagBlocks(range, memory)
            let offset = (range.lowerBound - node.tagged.lowerBound) / TagGranule.bytesPerTagByte
            let tagSize = range.size / TagGranule.bytesPerTagByte
            guard offset % node.blockSize == 0, tagSize % node.blockSize == 0 else {
                throw DeviceTreeError(
                    .partialBlock(size: tagSize, blockSize: node.blockSize), node: node.path,
                    property: "block-size")
            }
            regions.append(
                MemoryMap.Region(
                    start: range.start, size: range.size, kind: .data(tagBase: node.range.start + offset),
                    numaNode: memory.numaNode))
        }
        return regions
    }

    private func requireTagBlocks(_ range: AddressRange, _ memory: MemoryNode) throws(DeviceTreeError) {
        let unit = MemoryMap.dataBytesPerBlock
        guard range.isAligned(to: unit) else {
            throw DeviceTreeError(
                .misaligned(range.start, size: range.size, unit: unit), node: memory.path,
                property: memory.property)
        }
    }

    /// What is reserved of memory, a piece a region. Others than memory (a device's) can be reserved too.
    private func reservations(in regions: [MemoryMap.Region]) -> [MemoryMap.Reservation] {
        var pieces: [(range: AddressRange, isUnmapped: Bool)] = []
        for reservation in reserved {
            for rest in reservation.pages.subtracting(pieces.map(\.range)) {
                for region in regions where region.kind != .tagStorage {
                    let range = region.start.rawValue..<region.end.rawValue
                    if let piece = rest.intersection(range) { pieces.append((piece, reservation.isUnmapped)) }
                }
            }
        }
        return pieces.map {
            MemoryMap.Reservation(start: $0.range.start, size: $0.range.size, isUnmapped: $0.isUnmapped)
        }
    }
}
