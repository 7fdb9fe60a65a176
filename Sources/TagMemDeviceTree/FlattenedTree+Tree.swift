internal import CFDT

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The tree that a checked blob is.
extension FlattenedTree {
    /// A node whose end is still to come, and the names that are in it already.
    private struct OpenNode {
        var node: DeviceTree.Node
        var properties: Set<String> = []
        var children: Set<String> = []
    }

    /// One pass over all tags.
    func unflatten() throws(DeviceTreeError) -> DeviceTree {
        var open: [OpenNode] = []
        var root: DeviceTree.Node?
        var offset: Int32 = 0
        while true {
            var next: Int32 = 0
            let tag = unsafe fdt_next_tag(blob, offset, &next)
            try check(min(next, 0))
            switch Int32(bitPattern: tag) {
            case FDT_BEGIN_NODE:
                guard root == nil else { throw DeviceTreeError(.malformed("a second root")) }
                guard open.count < DeviceTree.maximumDepth else {
                    throw DeviceTreeError(.tooDeep(DeviceTree.maximumDepth), node: path(of: open))
                }
                let name = try nodeName(at: offset, in: &open)
                open.append(OpenNode(node: DeviceTree.Node(name)))
            case FDT_PROP:
                try append(propertyAt: offset, to: &open)
            case FDT_END_NODE:
                guard let node = open.popLast()?.node else {
                    throw DeviceTreeError(.malformed("an end without a node"))
                }
                if open.isEmpty { root = node } else { open[open.count - 1].node.children.append(node) }
            case FDT_END:
                guard let root else { throw DeviceTreeError(.malformed("no root")) }
                return DeviceTree(root: root, memoryReservations: try reservations())
            default:
                break
            }
            offset = next
        }
    }

    private func nodeName(at offset: Int32, in open: inout [OpenNode]) throws(DeviceTreeError) -> String {
        // The root has no name.
        guard !open.isEmpty else { return "" }
        var length: Int32 = 0
        guard let text = unsafe fdt_get_name(blob, offset, &length) else {
            throw DeviceTreeError(.malformed(Self.text(of: length)), node: path(of: open))
        }
        let name = unsafe try self.name(text, Int(length), in: open)
        guard open[open.count - 1].children.insert(name).inserted else {
            throw DeviceTreeError(.twice(name), node: path(of: open))
        }
        return name
    }

    private func append(
        propertyAt offset: Int32, to open: inout [OpenNode]
    ) throws(DeviceTreeError) {
        var name: UnsafePointer<CChar>?
        var length: Int32 = 0
        let value = unsafe fdt_getprop_by_offset(blob, offset, &name, &length)
        guard let value = unsafe value, let text = unsafe name, length >= 0, !open.isEmpty else {
            throw DeviceTreeError(.malformed(Self.text(of: length)), node: path(of: open))
        }
        // SAFETY: `fdt_check_full` has seen a NUL at the name's end, within the blob.
        let property = unsafe try self.name(
            text, Int(strnlen(text, DeviceTree.maximumNameLength + 1)), in: open)
        guard open[open.count - 1].properties.insert(property).inserted else {
            throw DeviceTreeError(.twice(property), node: path(of: open))
        }
        // SAFETY: `length` bytes from `value` are in the blob.
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: value, count: Int(length)))
        open[open.count - 1].node.properties.append(DeviceTree.Property(property, bytes))
    }

    /// A name that can be a file's.
    private func name(
        _ text: UnsafePointer<CChar>, _ length: Int, in open: [OpenNode]
    ) throws(DeviceTreeError) -> String {
        // SAFETY: the caller's text has that many bytes.
        let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
        let isPrintable = unsafe bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
        let name = unsafe String(decoding: bytes.prefix(DeviceTree.maximumNameLength), as: UTF8.self)
        guard (1...DeviceTree.maximumNameLength).contains(length), isPrintable, name != ".", name != ".."
        else {
            throw DeviceTreeError(.name, node: path(of: open))
        }
        return name
    }

    private func reservations() throws(DeviceTreeError) -> [DeviceTree.MemoryReservation] {
        var reservations: [DeviceTree.MemoryReservation] = []
        for index in 0..<max(0, unsafe fdt_num_mem_rsv(blob)) {
            var (address, size): (UInt64, UInt64) = (0, 0)
            try unsafe check(fdt_get_mem_rsv(blob, index, &address, &size))
            reservations.append(DeviceTree.MemoryReservation(address: address, size: size))
        }
        return reservations
    }

    private func path(of open: [OpenNode]) -> String {
        open.count < 2 ? "/" : open.dropFirst().map { "/" + $0.node.name }.joined()
    }
}
