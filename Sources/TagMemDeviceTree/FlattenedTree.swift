internal import CFDT

/// A checked blob, aligned as libfdt needs it.
@safe
final class FlattenedTree {
    // SAFETY: a copy of the whole blob that lives as long as `self`. `fdt_check_full` has seen that all that its header,
    // tags, names and values refer to lies within.
    private let bytes: UnsafeMutableRawBufferPointer
    var blob: UnsafeRawPointer { unsafe UnsafeRawPointer(bytes.baseAddress.unsafelyUnwrapped) }

    init(copying blob: [UInt8]) throws(DeviceTreeError) {
        // Room for a header, so that a short blob's can be looked at.
        let size = max(blob.count, MemoryLayout<fdt_header>.size)
        unsafe bytes = .allocate(byteCount: size, alignment: 8)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe bytes.copyBytes(from: blob)
        // Before version 16 (2005) nodes had their whole path; `fdt_check_full` of libfdt 1.6 follows a null pointer
        // where that is malformed.
        let version = unsafe cfdt_version(bytes.baseAddress)
        guard unsafe version >= 16 || cfdt_magic(bytes.baseAddress) != FDT_MAGIC else {
            throw DeviceTreeError(.malformed("version \(version)"))
        }
        try unsafe check(fdt_check_header(bytes.baseAddress))
        guard unsafe cfdt_totalsize(bytes.baseAddress) <= UInt32(clamping: blob.count) else {
            throw DeviceTreeError(.malformed(Self.text(of: -FDT_ERR_TRUNCATED)))
        }
        try checkTagsEnd()
        try unsafe check(fdt_check_full(bytes.baseAddress, blob.count))
    }

    /// That each tag leads to one behind it. `fdt_check_full` of libfdt 1.6 goes round in circles where a property's
    /// length is so large that the offset behind it wraps around to its own.
    private func checkTagsEnd() throws(DeviceTreeError) {
        var offset: Int32 = 0
        while true {
            var next: Int32 = 0
            let tag = unsafe fdt_next_tag(blob, offset, &next)
            try check(min(next, 0))
            if Int32(bitPattern: tag) == FDT_END { return }
            guard next > offset else { throw DeviceTreeError(.malformed("a property's length")) }
            offset = next
        }
    }

    func check(_ result: Int32) throws(DeviceTreeError) {
        guard result == 0 else { throw DeviceTreeError(.malformed(Self.text(of: result))) }
    }

    deinit { unsafe bytes.deallocate() }

    static func text(of error: Int32) -> String { unsafe String(cString: fdt_strerror(error)) }
}
