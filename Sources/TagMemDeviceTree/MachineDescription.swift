public import TagMemCore

/// The machine that a device tree describes, as far as its memory goes.
public struct MachineDescription: Sendable, Equatable {
    public let map: MemoryMap
    /// What is unusual and stops nothing: a line each, which names the node.
    public let warnings: [String]

    /// - Parameter blob: a flattened device tree; may be anything, of any size.
    /// - Throws: `DeviceTreeError` for what is malformed or inconsistent.
    public init(blob: [UInt8]) throws(DeviceTreeError) { try self.init(DeviceTree(blob: blob)) }

    /// - Throws: `DeviceTreeError` for what is inconsistent.
    public init(_ tree: DeviceTree) throws(DeviceTreeError) {
        var nodes = try MemoryNodes(tree)
        try nodes.check()
        map = try nodes.makeMap()
        warnings = nodes.warnings
    }
}
