/// A byte's address in the emulated machine's physical address space.
///
/// Distinct from offsets in files, from pointers of clients (`TaggedPointer`) and from pointers of this process.
public struct PhysicalAddress: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    /// The largest physical address the model accepts, exclusive: 2^52, as with FEAT_LPA.
    public static let limit: UInt64 = 1 << 52

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// The address `count` bytes further. Traps past the end of the 64-bit space.
    @inlinable
    public static func + (address: Self, count: UInt64) -> Self { Self(address.rawValue + count) }

    /// The distance in bytes from `start` to `end`, which must not be below it.
    @inlinable
    public static func - (end: Self, start: Self) -> UInt64 { end.rawValue - start.rawValue }

    @inlinable
    public func isAligned(to alignment: UInt64) -> Bool { rawValue & (alignment - 1) == 0 }

    /// The start of the tag granule that holds this byte.
    @inlinable
    public var granuleStart: Self { Self(rawValue & ~(TagGranule.size - 1)) }
}

extension PhysicalAddress: CustomStringConvertible {
    public var description: String { "0x" + String(rawValue, radix: 16) }
}
