/// How much memory of each kind there is.
extension MemoryMap {
    /// Bytes of memory that the machine can address, holes not counted.
    public var memorySize: UInt64 { size { _ in true } }

    /// Bytes of MTE-capable data memory, whether its tag storage is addressable or not.
    public var dataSize: UInt64 { size { $0.isMTECapable } }

    /// Bytes of addressable tag storage.
    public var tagStorageSize: UInt64 { size { $0.kind == .tagStorage } }

    /// Bytes of memory that is not MTE-capable, tag storage left out.
    public var ordinarySize: UInt64 { size { $0.kind == .ordinary } }

    /// Bytes that tags without an address take: the static carveout.
    public var hiddenTagStorageSize: UInt64 {
        size { $0.kind == .dataWithHiddenTags } / TagGranule.bytesPerTagByte
    }

    /// Bytes that the allocator must leave alone.
    public var reservedSize: UInt64 { reservations.reduce(0) { $0 + $1.size } }

    private func size(_ isMeant: (Region) -> Bool) -> UInt64 {
        regions.reduce(0) { isMeant($1) ? $0 + $1.size : $0 }
    }
}
