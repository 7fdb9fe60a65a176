import TagMemCore

/// A `memory` node: where memory is, and what is said of it.
struct MemoryNode {
    let path: String
    /// What the ranges come from: `linux,usable-memory` if there is one, as Linux has it, else `reg`.
    let property: String
    /// Sorted, not empty, whole pages.
    let ranges: [AddressRange]
    let phandle: UInt32?
    let numaNode: UInt32?
    /// `arm,mte-alloc`: the storage of its tags is described, or has no address.
    let describesTags: Bool
    /// `arm,no-mte`: not capable of Tagged Normal.
    let isUntaggable: Bool

    init(
        _ node: DeviceTree.Node, _ path: String, _ cells: CellSizes, _ warnings: inout [String]
    ) throws(DeviceTreeError) {
        self.path = path
        property = node["linux,usable-memory"] == nil ? "reg" : "linux,usable-memory"
        guard let value = node[property] else {
            throw DeviceTreeError(.missing, node: path, property: property)
        }
        var ranges: [AddressRange] = []
        for range in try cells.ranges(value, property, path) {
            if range.isEmpty {
                warnings.append("\(path): \(property): a range of size 0 is ignored")
                continue
            }
            guard range.isAligned(to: Page.size) else {
                throw DeviceTreeError(
                    .misaligned(range.start, size: range.size, unit: Page.size), node: path,
                    property: property)
            }
            ranges.append(range)
        }
        self.ranges = ranges.sorted { $0.lowerBound < $1.lowerBound }
        phandle = try node.number32(node["phandle"] == nil ? "linux,phandle" : "phandle", at: path)
        numaNode = try node.number32("numa-node-id", at: path)
        describesTags = node["arm,mte-alloc"] != nil
        isUntaggable = node["arm,no-mte"] != nil
        if node["device_type"] == nil {
            warnings.append("\(path): device_type: is missing, and taken to be \"memory\"")
        }
    }

    /// Whether a child of the root is such a node.
    static func describes(_ node: DeviceTree.Node) -> Bool {
        guard let type = node["device_type"] else {
            return node.name.split(separator: "@", omittingEmptySubsequences: false).first == "memory"
        }
        return DeviceTree.Node.strings(type).first == "memory"
    }
}
