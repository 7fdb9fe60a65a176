/// A granule's four-bit tag, as tag storage holds it.
public struct AllocationTag: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    /// The tag in the low four bits of `value`; the others are ignored, as the tag instructions do.
    @inlinable
    public init(truncating value: UInt64) { rawValue = UInt8(truncatingIfNeeded: value) & 0xf }

    /// The tag storage byte of two granules that both have this tag.
    @inlinable
    public var packedPair: UInt8 { rawValue << 4 | rawValue }
}

/// Bits 59:56 of a pointer: the tag that an access brings along.
public struct AddressTag: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    /// The tag in the low four bits of `value`.
    @inlinable
    public init(truncating value: UInt64) { rawValue = UInt8(truncatingIfNeeded: value) & 0xf }

    /// Every address tag, 0 to 15.
    public static let all: [AddressTag] = (0..<16).map { AddressTag(truncating: $0) }

    /// The allocation tag that this address tag may access. There is no match-all tag.
    @inlinable
    public var matchingAllocationTag: AllocationTag { AllocationTag(truncating: UInt64(rawValue)) }

    /// The lower-case hexadecimal digit, as in the names of views.
    public var digit: String { String(rawValue, radix: 16) }
}

extension AllocationTag: CustomStringConvertible {
    public var description: String { String(rawValue, radix: 16) }
}

extension AddressTag: CustomStringConvertible {
    public var description: String { digit }
}
