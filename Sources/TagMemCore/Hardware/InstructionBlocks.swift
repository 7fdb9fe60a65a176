/// The block that LDGM and STGM work on, as GMID_EL1 gives it.
///
/// Raw value: GMID_EL1.BS, the base-2 logarithm of the block's size in words, 2 to 6.
public struct TagMultipleBlock: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int

    /// - Returns: nil for a field value that the architecture reserves.
    public init?(rawValue: Int) {
        guard (2...6).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(architected rawValue: Int) { self.rawValue = rawValue }

    /// 256 bytes, whose sixteen tags fill a register; as QEMU's `max` processor.
    public static let bytes256 = Self(architected: 6)

    /// Bytes of data, 16 to 256.
    public var size: Int { 4 << rawValue }
}

/// The block that DC ZVA, DC GVA, DC GZVA and STZGM work on, as DCZID_EL0 gives it.
///
/// Raw value: DCZID_EL0.BS, the base-2 logarithm of the block's size in words; with MTE 2 to 9.
public struct ZeroBlock: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int

    /// - Returns: nil for a field value that the architecture reserves, or that would be less than a tag granule.
    public init?(rawValue: Int) {
        guard (2...9).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(architected rawValue: Int) { self.rawValue = rawValue }

    /// 64 bytes, a cache line; as QEMU's `max` processor.
    public static let bytes64 = Self(architected: 4)

    /// Bytes of data, 16 to 2048.
    public var size: Int { 4 << rawValue }
}
