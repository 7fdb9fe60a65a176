import TagMemCore

/// How many 32-bit cells an address and a size take in `reg` of a node's children. Devicetree Specification 0.4, 2.3.5.
struct CellSizes: Equatable {
    let address: Int
    let size: Int

    /// - Parameter node: whose children are meant.
    init(of node: DeviceTree.Node, at path: String) throws(DeviceTreeError) {
        address = try Self.cells(node, "#address-cells", path, default: 2)
        size = try Self.cells(node, "#size-cells", path, default: 1)
    }

    private static func cells(
        _ node: DeviceTree.Node, _ name: String, _ path: String, default count: Int
    ) throws(DeviceTreeError) -> Int {
        guard let cells = try node.number32(name, at: path) else { return count }
        guard (1...4).contains(cells) else {
            throw DeviceTreeError(.cells(UInt64(cells)), node: path, property: name)
        }
        return Int(cells)
    }

    /// The ranges of `reg` or a property like it, in its order. None reaches past the physical address space; some may
    /// be empty.
    func ranges(_ value: [UInt8], _ name: String, _ path: String) throws(DeviceTreeError) -> [AddressRange] {
        let unit = (address + size) * 4
        guard !value.isEmpty, value.count % unit == 0 else {
            throw DeviceTreeError(.length(value.count, unit: unit), node: path, property: name)
        }
        var ranges: [AddressRange] = []
        for start in stride(from: 0, to: value.count, by: unit) {
            let middle = start + address * 4
            guard let first = Self.number(value[start..<middle]),
                let size = Self.number(value[middle..<start + unit])
            else { throw DeviceTreeError(.number, node: path, property: name) }
            guard first <= PhysicalAddress.limit, size <= PhysicalAddress.limit - first else {
                throw DeviceTreeError(
                    .outOfRange(PhysicalAddress(first), size: size), node: path, property: name)
            }
            ranges.append(first..<first + size)
        }
        return ranges
    }

    /// One address.
    func address(_ value: [UInt8], _ name: String, _ path: String) throws(DeviceTreeError) -> PhysicalAddress
    {
        guard value.count == address * 4 else {
            throw DeviceTreeError(.length(value.count, unit: address * 4), node: path, property: name)
        }
        guard let number = Self.number(value[...]) else {
            throw DeviceTreeError(.number, node: path, property: name)
        }
        return PhysicalAddress(number)
    }

    /// A big-endian number of any size, if 64 bits hold it.
    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        for byte in bytes {
            guard number >> 56 == 0 else { return nil }
            number = number << 8 | UInt64(byte)
        }
        return number
    }
}

extension DeviceTree.Node {
    /// The one cell of a property; nil if there is none.
    func number32(_ name: String, at path: String) throws(DeviceTreeError) -> UInt32? {
        guard let value = self[name] else { return nil }
        guard value.count == 4 else {
            throw DeviceTreeError(.length(value.count, unit: 4), node: path, property: name)
        }
        return value.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
