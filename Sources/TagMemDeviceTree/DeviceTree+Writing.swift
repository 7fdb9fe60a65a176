internal import CFDT

/// Flattening.
extension DeviceTree {
    /// The tree as a blob of version 17.
    ///
    /// The tree's names must be such as reading accepts, and the whole smaller than 2 GiB; traps otherwise.
    public func flattened() -> [UInt8] {
        let size = 64 + (memoryReservations.count + 2) * 16 + Self.spaceNeeded(by: root)
        precondition(size < Int(Int32.max), "a device tree of \(size) bytes")
        return unsafe withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
            let blob = unsafe buffer.baseAddress.unsafelyUnwrapped
            // SAFETY: libfdt writes at most `size` bytes to `blob`, and answers with an error where that is too little.
            unsafe Self.check(fdt_create(blob, Int32(size)))
            for reservation in memoryReservations {
                unsafe Self.check(fdt_add_reservemap_entry(blob, reservation.address, reservation.size))
            }
            unsafe Self.check(fdt_finish_reservemap(blob))
            unsafe Self.write(root, to: blob)
            unsafe Self.check(fdt_finish(blob))
            return unsafe Array(buffer.prefix(Int(cfdt_totalsize(blob))))
        }
    }

    private static func write(_ node: Node, to blob: UnsafeMutableRawPointer) {
        // SAFETY: as in `flattened`; the values live for the calls that copy them.
        unsafe check(fdt_begin_node(blob, node.name))
        for property in node.properties {
            unsafe property.value.withUnsafeBytes {
                unsafe check(fdt_property(blob, property.name, $0.baseAddress, Int32($0.count)))
            }
        }
        for child in node.children { unsafe write(child, to: blob) }
        unsafe check(fdt_end_node(blob))
    }

    /// An upper bound, in bytes: tags and padding, names, values.
    private static func spaceNeeded(by node: Node) -> Int {
        let properties = node.properties.reduce(0) { $0 + 16 + $1.value.count + $1.name.utf8.count + 1 }
        return node.children.reduce(16 + node.name.utf8.count + properties) { $0 + spaceNeeded(by: $1) }
    }

    private static func check(_ result: Int32) {
        precondition(result == 0, "libfdt: \(unsafe String(cString: fdt_strerror(result)))")
    }
}
