import TagMemCore

/// How the bytes of a file and those of memory correspond.
enum MemoryCodec: Equatable {
    /// They are the same: of data, or of tag storage.
    case bytes
    /// The same, and memory is tags: a byte for two granules.
    case packedTags
    /// A hexadecimal digit a granule.
    case hexTags

    var showsTags: Bool { self != .bytes }

    /// Whether bytes of a write, or of a page that comes back, are what the file can hold.
    ///
    /// The kernel sets to zero what it takes for behind the end of a page that it writes back, and it hears of growth last.
    func accepts(_ bytes: UnsafeRawBufferPointer, isWriteback: Bool) -> Bool {
        guard self == .hexTags else { return true }
        return unsafe bytes.allSatisfy { byte in
            byte == UInt8(ascii: "\n") || isWriteback && byte == 0 || HexDigit.value(of: byte) != nil
        }
    }
}

/// `tags.hex`: digits for packed tags. The granule of an even offset has its byte's low nibble.
enum HexTags {
    /// `count` digits from the file's `offset` on, of the packed tags from its byte on.
    static func digits(of packed: [UInt8], at offset: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { index in
            let granule = Int(offset % 2) + index
            return HexDigit.digit(of: packed[granule / 2] >> (granule % 2 == 0 ? 0 : 4) & 0xf)
        }
    }

    /// The packed tags with digits put in; a newline, or what is no digit, leaves its granule as it is.
    static func merge(_ digits: UnsafeRawBufferPointer, at offset: UInt64, into packed: inout [UInt8]) {
        for index in digits.indices {
            guard let value = unsafe HexDigit.value(of: digits[index]) else { continue }
            let granule = Int(offset % 2) + index
            let shift: UInt8 = granule % 2 == 0 ? 0 : 4
            packed[granule / 2] = packed[granule / 2] & ~(0xf << shift) | value << shift
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
