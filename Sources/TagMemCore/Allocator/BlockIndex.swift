/// A Tag Block's number, from 0: the blocks of all regions are counted through, lowest address first.
public struct BlockIndex: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    @inline(__always)
    var offset: Int { Int(rawValue) }
}
