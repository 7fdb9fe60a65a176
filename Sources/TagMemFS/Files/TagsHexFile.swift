import TagMemCore

/// `tags.hex`: one hexadecimal digit a granule. Offset = address / 16.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class TagsHexFile: MemoryFile, @unchecked Sendable {
    override func answer(_ reply: consuming Reply, _ access: MemoryAccess) {
        let packed = packedTags(access.footprint)
        var digits = [UInt8](repeating: 0, count: access.count)
        for index in digits.indices {
            let granule = Int(access.offset % 2) + index
            digits[index] = HexDigit.digit(of: packed[granule / 2] >> (granule % 2 == 0 ? 0 : 4) & 0xf)
        }
        reply.bytes(digits)
    }

    /// The kernel sets to zero what it takes for behind the end of a page that it writes back, and it hears of growth last.
    override func validate(_ bytes: UnsafeRawBufferPointer, isWriteback: Bool) throws(FileError) {
        for index in bytes.indices {
            let byte = unsafe bytes[index]
            let isSkipped = byte == UInt8(ascii: "\n") || isWriteback && byte == 0
            if !isSkipped, HexDigit.value(of: byte) == nil { throw .invalid }
        }
    }

    override func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int {
        fileSystem.counters.add(.tagWrites)
        let packed = unsafe merge(bytes, at: access.offset, access.footprint)
        unsafe packed.withUnsafeBytes { unsafe copy($0, to: access.footprint) }
        return bytes.count
    }

    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        let packed = unsafe merge(bytes, at: access.offset, access.footprint)
        unsafe packed.withUnsafeBytes { unsafe storeTagWriteback($0, access.footprint) }
    }

    override func fsync(_ reply: consuming Reply) { replyAfterRecalls(reply) }

    /// The packed tags of a footprint with the digits of `bytes` put in; a newline leaves its granule as it is.
    private func merge(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint) -> [UInt8]
    {
        var packed = packedTags(footprint)
        for index in bytes.indices {
            guard let value = unsafe HexDigit.value(of: bytes[index]) else { continue }
            let granule = Int(offset % 2) + index
            let shift: UInt8 = granule % 2 == 0 ? 0 : 4
            packed[granule / 2] = packed[granule / 2] & ~(0xf << shift) | value << shift
        }
        return packed
    }

    private func packedTags(_ footprint: Footprint) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: footprint.count) { buffer, count in
            unsafe buffer.initialize(repeating: 0)
            for index in footprint.pieces.indices {
                let length = footprint.pieces[index].count
                if case .memory(let address, _) = footprint.pieces[index] {
                    unsafe dram.read(
                        UnsafeMutableRawBufferPointer(
                            rebasing: UnsafeMutableRawBufferPointer(buffer)[count..<(count + length)]),
                        from: address)
                }
                count += length
            }
        }
    }
}

/// Hexadecimal digits as bytes of ASCII.
enum HexDigit {
    /// The lower-case digit of a value below 16.
    static func digit(of value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
