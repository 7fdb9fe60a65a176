import TagMemCore

/// A node that is compatible with `arm,mte-tag-storage`: where tags are, and of which memory.
struct TagStorageNode {
    static let compatible = "arm,mte-tag-storage"

    let path: String
    /// Not empty, whole pages.
    let range: AddressRange
    /// The memory whose tags it holds: 32 times as large, whole Tag Blocks.
    let tagged: AddressRange
    /// What says so.
    let property: String
    let blockSize: UInt64
    /// Of the memory node that `memory` refers to: Linux takes it for the tag storage too, where no memory node has it.
    let inheritedNUMANode: UInt32?

    /// - Parameter cells: the parent's.
    init(
        _ node: DeviceTree.Node, _ path: String, _ cells: CellSizes, _ memory: [MemoryNode],
        _ warnings: inout [String]
    ) throws(DeviceTreeError) {
        self.path = path
        guard let reg = node["reg"] else { throw DeviceTreeError(.missing, node: path, property: "reg") }
        let ranges = try cells.ranges(reg, "reg", path)
        guard ranges.count == 1 else {
            throw DeviceTreeError(.ranges(ranges.count), node: path, property: "reg")
        }
        range = ranges[0]
        guard !range.isEmpty, range.isAligned(to: Page.size) else {
            throw DeviceTreeError(
                .misaligned(range.start, size: range.size, unit: Page.size), node: path, property: "reg")
        }
        let properties = ["storage-base", "memory", "tagged-memory"].filter { node[$0] != nil }
        guard let property = properties.first else { throw DeviceTreeError(.noTagged, node: path) }
        guard properties.count == 1 else { throw DeviceTreeError(.twoTagged, node: path) }
        self.property = property
        if property == "storage-base" {
            tagged = try Self.tagged(range, base: cells.address(node[property] ?? [], property, path), path)
            inheritedNUMANode = nil
        } else {
            let target = try Self.memoryNode(node, property, path, memory)
            tagged = try Self.tagged(range, all: target, path)
            inheritedNUMANode = property == "memory" ? target.numaNode : nil
        }
        blockSize = try Self.blockSize(node, property, path)
        guard range.size % blockSize == 0 else {
            throw DeviceTreeError(
                .partialBlock(size: range.size, blockSize: blockSize), node: path, property: "block-size")
        }
        if property == "tagged-memory", node["reusable"] == nil {
            warnings.append("\(path): reusable: is missing; the tag storage is reused all the same")
        }
    }

    /// The proposal's: as much memory as the storage has tags for.
    private static func tagged(
        _ range: AddressRange, base: PhysicalAddress, _ path: String
    ) throws(DeviceTreeError) -> AddressRange {
        let (size, isTooLarge) = range.size.multipliedReportingOverflow(by: TagGranule.bytesPerTagByte)
        guard !isTooLarge, base.rawValue <= PhysicalAddress.limit,
            size <= PhysicalAddress.limit - base.rawValue
        else {
            throw DeviceTreeError(
                .outOfRange(base, size: isTooLarge ? .max : size), node: path, property: "storage-base")
        }
        guard base.isAligned(to: MemoryMap.dataBytesPerBlock) else {
            throw DeviceTreeError(
                .misaligned(base, size: size, unit: MemoryMap.dataBytesPerBlock), node: path,
                property: "storage-base")
        }
        return base.rawValue..<base.rawValue + size
    }

    /// Arm's: all of a memory node, which has one range.
    private static func tagged(
        _ range: AddressRange, all memory: MemoryNode, _ path: String
    ) throws(DeviceTreeError) -> AddressRange {
        guard memory.ranges.count == 1 else {
            throw DeviceTreeError(
                .ranges(memory.ranges.count), node: memory.path, property: memory.property)
        }
        let tagged = memory.ranges[0]
        guard tagged.isAligned(to: MemoryMap.dataBytesPerBlock) else {
            throw DeviceTreeError(
                .misaligned(tagged.start, size: tagged.size, unit: MemoryMap.dataBytesPerBlock),
                node: memory.path, property: memory.property)
        }
        let needed = tagged.size / TagGranule.bytesPerTagByte
        guard range.size == needed else {
            throw DeviceTreeError(.storageSize(range.size, needed: needed), node: path, property: "reg")
        }
        return tagged
    }

    private static func memoryNode(
        _ node: DeviceTree.Node, _ property: String, _ path: String, _ memory: [MemoryNode]
    ) throws(DeviceTreeError) -> MemoryNode {
        let phandle = try node.number32(property, at: path) ?? 0
        let targets = memory.filter { $0.phandle == phandle }
        guard targets.count == 1 else {
            throw DeviceTreeError(.phandle(phandle), node: path, property: property)
        }
        return targets[0]
    }

    /// In bytes. Arm's nodes must have it; the first version's counted pages of 4 KiB.
    private static func blockSize(
        _ node: DeviceTree.Node, _ property: String, _ path: String
    ) throws(DeviceTreeError) -> UInt64 {
        guard let number = try node.number32("block-size", at: path).map(UInt64.init) else {
            guard property == "storage-base" else {
                throw DeviceTreeError(.missing, node: path, property: "block-size")
            }
            return Page.size
        }
        if property == "memory", (1...mostPages).contains(number) { return number * Page.size }
        guard number > 0, number % Page.size == 0 else {
            throw DeviceTreeError(.blockSize(number), node: path, property: "block-size")
        }
        return number
    }

    /// Up to here a `block-size` counts pages.
    private static let mostPages: UInt64 = 64
}
