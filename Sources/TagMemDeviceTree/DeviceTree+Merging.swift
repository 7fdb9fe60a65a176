/// One machine's tree with another's memory.
extension DeviceTree {
    /// What a boot loader says to a kernel, in `/chosen`.
    public struct BootArguments: Sendable, Equatable {
        /// The kernel's command line; nil leaves the tree's.
        public var commandLine: String?
        /// Where the initramfs is in memory; nil leaves the tree's.
        public var initramfs: Range<UInt64>?

        public init(commandLine: String? = nil, initramfs: Range<UInt64>? = nil) {
            self.commandLine = commandLine
            self.initramfs = initramfs
        }
    }

    /// This tree with the memory nodes, the tag storage and the reservations of `memory` in place of its own memory
    /// nodes, and with these boot arguments. Reservations that it has stay.
    ///
    /// - Parameter memory: a tree that was made for a map. Its phandles are made to differ from this tree's.
    /// - Throws: `DeviceTreeError` if this tree's addresses or sizes do not have two cells, where memory is described.
    public func merging(
        memoryOf memory: DeviceTree, _ boot: BootArguments = BootArguments()
    ) throws(DeviceTreeError) -> DeviceTree {
        try Self.requireTwoCells(root, at: "/")
        var result = self
        let offset = Self.largestPhandle(in: root)
        let added = memory.root.children.map { Self.shifted($0, by: offset) }
        result.root.children.removeAll { node in
            node["device_type"].map { Node.strings($0).first == "memory" } ?? false
        }
        for node in added {
            guard let index = result.root.children.firstIndex(where: { $0.name == node.name }) else {
                result.root.children.append(node)
                continue
            }
            guard node.name == "reserved-memory" else {
                throw DeviceTreeError(.twice(node.name), node: "/")
            }
            try Self.requireTwoCells(result.root.children[index], at: "/reserved-memory")
            result.root.children[index].children += node.children
        }
        result.root.set(boot)
        return result
    }

    private static func requireTwoCells(_ node: Node, at path: String) throws(DeviceTreeError) {
        let cells = try CellSizes(of: node, at: path)
        guard cells.address == 2, cells.size == 2 else {
            throw DeviceTreeError(
                .cells(UInt64(cells.address == 2 ? cells.size : cells.address)), node: path,
                property: cells.address == 2 ? "#size-cells" : "#address-cells")
        }
    }

    // MARK: Phandles

    /// Names of properties that hold a phandle, in a tree of memory.
    private static let phandles: Set<String> = ["phandle", "memory", "tagged-memory"]

    private static func largestPhandle(in node: Node) -> UInt32 {
        node.children.reduce(node["phandle"].map(number) ?? 0) { max($0, largestPhandle(in: $1)) }
    }

    private static func shifted(_ node: Node, by offset: UInt32) -> Node {
        var node = node
        for (index, property) in node.properties.enumerated() where phandles.contains(property.name) {
            node.properties[index] = .cells(property.name, number(property.value) &+ offset)
        }
        node.children = node.children.map { shifted($0, by: offset) }
        return node
    }

    private static func number(_ value: [UInt8]) -> UInt32 { value.reduce(0) { $0 << 8 | UInt32($1) } }
}

extension DeviceTree.Node {
    fileprivate mutating func set(_ boot: DeviceTree.BootArguments) {
        let index =
            children.firstIndex { $0.name == "chosen" }
            ?? {
                children.append(DeviceTree.Node("chosen"))
                return children.count - 1
            }()
        if let line = boot.commandLine { children[index].set(.string("bootargs", line)) }
        if let range = boot.initramfs {
            children[index].set(.numbers("linux,initrd-start", range.lowerBound))
            children[index].set(.numbers("linux,initrd-end", range.upperBound))
        }
    }

    private mutating func set(_ property: DeviceTree.Property) {
        properties.removeAll { $0.name == property.name }
        properties.append(property)
    }
}
