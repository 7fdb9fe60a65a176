/// A 64-bit pointer with an address tag in bits 59:56, under Top Byte Ignore.
public struct TaggedPointer: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable
    public init(address: UInt64, tag: AddressTag) {
        rawValue = address & Self.addressMask | UInt64(tag.rawValue) << 56
    }

    @usableFromInline
    static let addressMask: UInt64 = (1 << 56) - 1

    /// Bits 59:56.
    @inlinable
    public var addressTag: AddressTag { AddressTag(truncating: rawValue >> 56) }

    /// Bits 55:0.
    @inlinable
    public var address: UInt64 { rawValue & Self.addressMask }

    /// Whether any of the bits 63:60, above the tag, is set.
    @inlinable
    public var hasBitsAboveTag: Bool { rawValue >> 60 != 0 }

    /// The same pointer with another address tag; bits 63:60 are kept.
    @inlinable
    public func withAddressTag(_ tag: AddressTag) -> Self {
        Self(rawValue: rawValue & ~(0xf << 56) | UInt64(tag.rawValue) << 56)
    }
}

extension TaggedPointer: CustomStringConvertible {
    public var description: String { "0x" + String(rawValue, radix: 16) }
}
