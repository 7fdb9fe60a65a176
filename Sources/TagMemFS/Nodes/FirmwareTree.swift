import TagMemDeviceTree

/// The device tree as `firmware/devicetree` shows it: a directory a node, a file a property, numbered through.
///
/// Where Linux has it, under the name `base`, the root node is found too: by a link to itself that is not listed, since
/// programs that walk a tree may follow links. Immutable.
struct FirmwareTree: Sendable {
    struct Entry {
        let name: String
        let parent: Int
        /// A property's bytes; nil for a node.
        let value: [UInt8]?
        /// Indices of a node's properties and nodes, in the order of the blob.
        var children: [Int] = []
    }

    /// The blob, as in `firmware/fdt`.
    let blob: [UInt8]
    /// The root first.
    private(set) var entries: [Entry] = []

    init(_ tree: DeviceTree) {
        blob = tree.flattened()
        add(tree.root, parent: 0)
    }

    private mutating func add(_ node: DeviceTree.Node, parent: Int) {
        let index = entries.count
        entries.append(Entry(name: node.name, parent: parent, value: nil))
        if index != 0 { entries[parent].children.append(index) }
        for property in node.properties {
            entries[index].children.append(entries.count)
            entries.append(Entry(name: property.name, parent: index, value: property.value))
        }
        for child in node.children { add(child, parent: index) }
    }

    /// Entries' object numbers in node numbers, which memory objects leave out. They are below 2^24, so that node numbers
    /// have 32 bits, as programs of 32 bits want them; and more than a device tree of 2 MiB can have entries.
    static let objects: Range<UInt64> = (1 << 24) - (1 << 19)..<1 << 24

    func entry(_ node: NodeID) -> Entry? {
        guard Self.objects.contains(node.object),
            node.object - Self.objects.lowerBound < UInt64(entries.count)
        else { return nil }
        let entry = entries[Int(node.object - Self.objects.lowerBound)]
        return (entry.value == nil ? Role.deviceNode : .deviceProperty) == node.role ? entry : nil
    }

    func node(_ index: Int) -> NodeID {
        NodeID(
            object: Self.objects.lowerBound + UInt64(index),
            role: entries[index].value == nil ? .deviceNode : .deviceProperty)
    }

    /// What is in a node's directory.
    func children(of node: NodeID) -> [(name: String, node: NodeID)] {
        guard let entry = entry(node) else { return [] }
        return entry.children.map { (name: entries[$0].name, node: self.node($0)) }
    }

    /// The link to the root; nil for other names.
    func link(_ name: String, in node: NodeID) -> NodeID? {
        node == root && name == "base" ? NodeID(object: 0, role: .deviceTreeLink) : nil
    }

    var root: NodeID { node(0) }

    func parent(of node: NodeID) -> NodeID {
        guard node != root, let entry = entry(node) else { return NodeID(object: 0, role: .firmware) }
        return self.node(entry.parent)
    }
}
