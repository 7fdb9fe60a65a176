import TagMemCore

/// All that a tree says of memory. Each node makes sense by itself; `check` looks at them together.
///
/// - `memory`: children of the root.
/// - `storage`: children of `/reserved-memory` (the proposal, Arm's third series), or of the root (Arm's first two).
/// - `reserved`: other children of `/reserved-memory`, and the blob's own list.
struct MemoryNodes {
    private(set) var memory: [MemoryNode] = []
    /// Sorted by address.
    private(set) var storage: [TagStorageNode] = []
    private(set) var reserved: [ReservedMemory] = []
    private(set) var warnings: [String] = []

    /// As many as Linux takes of tag storage.
    static let mostStorage = 32
    static let mostRanges = 128

    init(_ tree: DeviceTree) throws(DeviceTreeError) {
        let cells = try CellSizes(of: tree.root, at: "/")
        for node in tree.root.children where MemoryNode.describes(node) && node.isAvailable {
            memory.append(try MemoryNode(node, "/" + node.name, cells, &warnings))
            guard memory.reduce(0, { $0 + max(1, $1.ranges.count) }) <= Self.mostRanges else {
                throw DeviceTreeError(.tooMany("ranges of memory", limit: Self.mostRanges), node: "/")
            }
        }
        guard memory.contains(where: { !$0.ranges.isEmpty }) else {
            throw DeviceTreeError(.noMemory, node: "/")
        }
        for node in tree.root.children where node.isCompatible(with: TagStorageNode.compatible) {
            try appendStorage(node, "/" + node.name, cells)
        }
        for parent in tree.root.children where parent.name == "reserved-memory" && parent.isAvailable {
            try appendReserved(parent, "/reserved-memory")
        }
        reserved += try ReservedMemory.read(tree.memoryReservations)
        guard reserved.count <= Self.mostRanges else {
            throw DeviceTreeError(.tooMany("reservations", limit: Self.mostRanges), node: "/reserved-memory")
        }
        storage.sort { $0.range.lowerBound < $1.range.lowerBound }
    }

    private mutating func appendReserved(_ parent: DeviceTree.Node, _ path: String) throws(DeviceTreeError) {
        let cells = try CellSizes(of: parent, at: path)
        switch parent["ranges"] {
        case nil: warnings.append("\(path): ranges: is missing, and taken to be empty")
        case let ranges?:
            guard ranges.isEmpty else { throw DeviceTreeError(.translation, node: path, property: "ranges") }
        }
        for node in parent.children where node.isAvailable {
            let child = path + "/" + node.name
            if node.isCompatible(with: TagStorageNode.compatible) {
                try appendStorage(node, child, cells)
            } else {
                reserved += try ReservedMemory.read(node, child, cells, &warnings)
            }
        }
    }

    private mutating func appendStorage(
        _ node: DeviceTree.Node, _ path: String, _ cells: CellSizes
    ) throws(DeviceTreeError) {
        guard node.isAvailable else { return }
        guard storage.count < Self.mostStorage else {
            throw DeviceTreeError(.tooMany("tag storage nodes", limit: Self.mostStorage), node: path)
        }
        storage.append(try TagStorageNode(node, path, cells, memory, &warnings))
    }

    /// All ranges with the node that each comes from, sorted by address.
    var memoryRanges: [(range: AddressRange, node: MemoryNode)] {
        memory.flatMap { node in node.ranges.map { ($0, node) } }
            .sorted { $0.range.lowerBound < $1.range.lowerBound }
    }

    /// The same without the tag storage in it.
    var dataRanges: [(range: AddressRange, node: MemoryNode)] {
        memoryRanges.flatMap { range, node in range.subtracting(storage.map(\.range)).map { ($0, node) } }
    }

    /// The node of the memory that tag storage is in: nil if it is in none.
    func memoryNode(of storage: TagStorageNode) -> MemoryNode? {
        memory.first { $0.ranges.contains { $0.overlaps(storage.range) } }
    }

    mutating func warn(_ text: String) { warnings.append(text) }
}
