public import TagMemCore

extension DeviceTree {
    /// The tree that describes the memory of a machine.
    ///
    /// Reading it gives the same map, if tag storage regions of the map do not touch others like them. Hidden tags are
    /// said with the proposal's `arm,mte-alloc` in every dialect.
    ///
    /// - Throws: `DeviceTreeWritingError` if the map has what a device tree cannot say.
    public init(describing map: MemoryMap, in dialect: DeviceTreeDialect) throws(DeviceTreeWritingError) {
        let writer = try TreeWriter(map, dialect)
        self.init(
            root: Node(
                "",
                [
                    .cells("#address-cells", 2), .cells("#size-cells", 2),
                    .string("compatible", "linux,dummy-virt"),
                    .string("model", "tagmemd"),
                ], children: writer.memoryNodes() + writer.tagStorageOfRoot() + writer.reservedMemory()))
    }
}

/// What a device tree cannot say of a memory map.
public enum DeviceTreeWritingError: Error, Equatable, CustomStringConvertible {
    /// Tag storage that holds no memory's tags.
    case unusedTagStorage(PhysicalAddress)
    /// More nodes for tag storage than are read.
    case tooMuchTagStorage(Int)
    /// More regions or reservations than are read.
    case tooManyRanges(Int)

    public var description: String {
        switch self {
        case .unusedTagStorage(let start):
            "a device tree cannot describe tag storage that holds no tags (\(start))"
        case .tooMuchTagStorage(let count):
            "a device tree with \(count) tag storage nodes: \(MemoryNodes.mostStorage) is the most"
        case .tooManyRanges(let count):
            "a device tree with \(count) ranges of memory: \(MemoryNodes.mostRanges) is the most"
        }
    }
}
