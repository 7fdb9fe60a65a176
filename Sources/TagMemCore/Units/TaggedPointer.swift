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

    /// Bit 55: whether the pointer is one of the upper half of the address space.
    @inlinable
    public var isInUpperHalf: Bool { rawValue >> 55 & 1 == 1 }

    /// The address tag that pointers to memory without allocation tags have: 0, in the upper half 15. Arm ARM,
    /// FEAT_MTE_CANONICAL_TAGS.
    @inlinable
    public var canonicalTag: AddressTag { AddressTag(truncating: isInUpperHalf ? 15 : 0) }

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
