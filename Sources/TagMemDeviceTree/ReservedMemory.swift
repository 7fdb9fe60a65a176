import TagMemCore

/// Memory that a child of `/reserved-memory`, or an entry of the blob's own list, takes from the allocator.
struct ReservedMemory {
    /// Of the node; nil for the blob's list.
    let path: String?
    let range: AddressRange
    let isUnmapped: Bool

    static let list = "the memory reservation block"

    /// What error messages call it.
    var name: String { path ?? Self.list }

    /// Whole pages around it.
    var pages: AddressRange {
        Page.start(range.lowerBound)..<Page.start(range.upperBound + Page.size - 1)
    }

    /// The static reservations of a node. One that the operating system would place has no addresses.
    static func read(
        _ node: DeviceTree.Node, _ path: String, _ cells: CellSizes, _ warnings: inout [String]
    ) throws(DeviceTreeError) -> [ReservedMemory] {
        guard let reg = node["reg"] else {
            warnings.append(
                "\(path): has no 'reg' and is left to the operating system: nothing is reserved for it")
            return []
        }
        return try cells.ranges(reg, "reg", path).filter { !$0.isEmpty }.map {
            ReservedMemory(path: path, range: $0, isUnmapped: node["no-map"] != nil)
        }
    }

    static func read(_ list: [DeviceTree.MemoryReservation]) throws(DeviceTreeError) -> [ReservedMemory] {
        var reserved: [ReservedMemory] = []
        for entry in list where entry.size > 0 {
            let limit = PhysicalAddress.limit
            guard entry.address <= limit, entry.size <= limit - entry.address else {
                throw DeviceTreeError(
                    .outOfRange(PhysicalAddress(entry.address), size: entry.size), node: Self.list)
            }
            reserved.append(
                ReservedMemory(
                    path: nil, range: entry.address..<entry.address + entry.size, isUnmapped: false))
        }
        return reserved
    }
}
