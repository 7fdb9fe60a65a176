/// The sizes that the architecture and the packing of tags fix.
///
/// Source: Arm ARM, D10 "The Memory Tagging Extension" (`LOG2_TAG_GRANULE`, tags of four bits); the packing of two
/// tags a byte, low nibble first, is the dynamic carveout proposal's.
public enum TagGranule {
    /// Bytes of data that share one allocation tag.
    public static let size: UInt64 = 16
    /// Bytes of data whose tags fill one byte of tag storage.
    public static let bytesPerTagByte: UInt64 = 32
}

/// The page that Linux maps and caches, and that file offsets of mappings are multiples of.
public enum Page {
    public static let size: UInt64 = 4096
    /// Bytes of tag storage that hold the tags of one page of data.
    public static let tagBytes: UInt64 = size / TagGranule.bytesPerTagByte

    /// `value` rounded down to a whole page.
    @inlinable
    public static func start(_ value: UInt64) -> UInt64 { value & ~(size - 1) }
}
