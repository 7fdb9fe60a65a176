import TagMemCore

/// Writes the nodes of a memory map.
struct TreeWriter {
    private let map: MemoryMap
    private let dialect: DeviceTreeDialect
    private let storage: [Storage]

    /// Tag storage and the memory whose tags it holds: a node.
    private struct Storage {
        var start: PhysicalAddress
        var size: UInt64
        let region: MemoryMap.Region
        /// In the proposal's dialect several regions that touch.
        var tagged: AddressRange
        let firstTagged: MemoryMap.Region
    }

    init(_ map: MemoryMap, _ dialect: DeviceTreeDialect) throws(DeviceTreeWritingError) {
        self.map = map
        self.dialect = dialect
        let ranges = max(map.regions.count, map.reservations.count)
        guard ranges <= MemoryNodes.mostRanges else { throw .tooManyRanges(ranges) }
        var storage: [Storage] = []
        for region in map.regions where region.kind == .tagStorage {
            storage += try Self.parts(of: region, map, joined: dialect == .proposal)
        }
        guard storage.count <= MemoryNodes.mostStorage else { throw .tooMuchTagStorage(storage.count) }
        self.storage = storage
    }

    /// The region's nodes: one for each memory, or, `joined`, for each stretch of memory.
    private static func parts(
        of region: MemoryMap.Region, _ map: MemoryMap, joined: Bool
    ) throws(DeviceTreeWritingError) -> [Storage] {
        var parts: [Storage] = []
        var end = region.start
        let tagged = map.regions.compactMap { data -> (base: PhysicalAddress, data: MemoryMap.Region)? in
            guard case .data(let base) = data.kind, region.contains(base) else { return nil }
            return (base, data)
        }
        for (base, data) in tagged.sorted(by: { $0.base < $1.base }) {
            guard base == end else { throw .unusedTagStorage(end) }
            let size = data.size / TagGranule.bytesPerTagByte
            end = end + size
            let range = data.start.rawValue..<data.end.rawValue
            if joined, let last = parts.last, last.tagged.upperBound == range.lowerBound {
                parts[parts.count - 1].size += size
                parts[parts.count - 1].tagged = last.tagged.lowerBound..<range.upperBound
            } else {
                parts.append(
                    Storage(start: base, size: size, region: region, tagged: range, firstTagged: data))
            }
        }
        guard end == region.end else { throw .unusedTagStorage(end) }
        return parts
    }

    // MARK: Nodes

    func memoryNodes() -> [DeviceTree.Node] {
        map.regions.filter { $0.kind != .tagStorage || isInMemoryNode($0) }.map { region in
            var properties: [DeviceTree.Property] = [
                .string("device_type", "memory"),
                .numbers("reg", region.start.rawValue, region.size),
            ]
            if let node = region.numaNode { properties.append(.cells("numa-node-id", node)) }
            switch (region.kind, dialect) {
            case (.dataWithHiddenTags, _), (.data, .proposal): properties.append(.flag("arm,mte-alloc"))
            case (.data, _): properties.append(.cells("phandle", phandle(of: region)))
            case (.tagStorage, .proposal): properties += [.flag("arm,mte-alloc"), .flag("arm,no-mte")]
            case (.tagStorage, _), (.ordinary, _): break
            }
            return DeviceTree.Node("memory@\(hex(region.start))", properties)
        }
    }

    /// In the second version tag storage is in no memory node, and of the NUMA node of its memory; where that is not
    /// so, a memory node says what is.
    private func isInMemoryNode(_ region: MemoryMap.Region) -> Bool {
        dialect != .rfcV2
            || storage.contains { $0.region == region && $0.firstTagged.numaNode != region.numaNode }
    }

    private func phandle(of region: MemoryMap.Region) -> UInt32 {
        UInt32((map.regions.firstIndex(of: region) ?? 0) + 1)
    }

    func tagStorageOfRoot() -> [DeviceTree.Node] { dialect == .rfcV2 ? tagStorageNodes() : [] }

    private func tagStorageNodes() -> [DeviceTree.Node] {
        storage.map { storage in
            var properties: [DeviceTree.Property] = [
                .string("compatible", TagStorageNode.compatible),
                .numbers("reg", storage.start.rawValue, storage.size),
            ]
            let blockSize = storage.region.blockSize
            if dialect != .proposal || blockSize != Page.size {
                properties.append(.cells("block-size", UInt32(clamping: blockSize)))
            }
            switch dialect {
            case .proposal: properties.append(.numbers("storage-base", storage.tagged.lowerBound))
            case .rfcV2: properties.append(.cells("memory", phandle(of: storage.firstTagged)))
            case .rfcV3:
                properties += [.cells("tagged-memory", phandle(of: storage.firstTagged)), .flag("reusable")]
            }
            return DeviceTree.Node("tag-storage@\(hex(storage.start))", properties)
        }
    }

    /// The node with all reservations; none if there are none.
    func reservedMemory() -> [DeviceTree.Node] {
        let reservations = map.reservations.map { reservation in
            DeviceTree.Node(
                "reserved@\(hex(reservation.start))",
                [.numbers("reg", reservation.start.rawValue, reservation.size)]
                    + (reservation.isUnmapped ? [.flag("no-map")] : []))
        }
        let children = (dialect == .rfcV2 ? [] : tagStorageNodes()) + reservations
        guard !children.isEmpty else { return [] }
        return [
            DeviceTree.Node(
                "reserved-memory",
                [.cells("#address-cells", 2), .cells("#size-cells", 2), .flag("ranges")], children: children)
        ]
    }

    private func hex(_ address: PhysicalAddress) -> String { String(address.rawValue, radix: 16) }
}
