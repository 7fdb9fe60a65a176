/// A device tree: nodes with properties, as a flattened blob holds them. Devicetree Specification 0.4, chapter 2.
///
/// Names are what can be names of files, so that a tree can be shown as directories.
public struct DeviceTree: Sendable, Equatable {
    public struct Property: Sendable, Equatable {
        public let name: String
        /// As in the blob: numbers are big-endian, strings end with NUL.
        public let value: [UInt8]

        public init(_ name: String, _ value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    public struct Node: Sendable, Equatable {
        /// With its unit address, if it has one: `memory@40000000`. Empty for the root.
        public let name: String
        public var properties: [Property]
        public var children: [Node]

        public init(_ name: String, _ properties: [Property] = [], children: [Node] = []) {
            self.name = name
            self.properties = properties
            self.children = children
        }
    }

    /// An entry of the blob's memory reservation block.
    public struct MemoryReservation: Sendable, Equatable {
        public let address: UInt64
        /// In bytes.
        public let size: UInt64

        public init(address: UInt64, size: UInt64) {
            self.address = address
            self.size = size
        }
    }

    public var root: Node
    public var memoryReservations: [MemoryReservation]

    public init(root: Node, memoryReservations: [MemoryReservation] = []) {
        self.root = root
        self.memoryReservations = memoryReservations
    }
}

extension DeviceTree {
    /// The node at an absolute path: `/`, `/reserved-memory/mte`.
    public subscript(path: String) -> Node? {
        var node = root
        for name in path.split(separator: "/") {
            guard let child = node.children.first(where: { $0.name == name }) else { return nil }
            node = child
        }
        return node
    }
}

extension DeviceTree.Node {
    /// The value of the property with this name; nil if there is none.
    public subscript(name: String) -> [UInt8]? { properties.first { $0.name == name }?.value }
}
