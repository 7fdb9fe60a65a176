/// Instructions that work on aligned blocks: `tagMultipleBlock` for LDGM and STGM, `zeroBlock` for the others.
///
/// Addresses are rounded down to a block; a block lies in one region. All throw `MemoryFault.noMemory`, with the
/// block's start, in a hole.
extension TagInstructions {
    /// LDGM: the tags of the block, four bits each, lowest granule lowest.
    ///
    /// A granule's place in the register is given by bits 7:4 of its address, so a block of less than 256 bytes fills
    /// the part that it has in its 256; the rest is 0. Arm ARM: LDGM, with `AArch64.MemTag[]`.
    public func ldgm(at address: TaggedPointer) throws(MemoryFault) -> UInt64 {
        let start = Self.blockStart(address, size: tagMultipleBlock.size)
        var tags: UInt64 = 0
        for granule in Self.granules(at: start, size: tagMultipleBlock.size) {
            tags |= UInt64(try loadTag(at: granule).rawValue) << Self.registerShift(of: granule)
        }
        return tags
    }

    /// STGM: stores the tags of the block from `tags`, laid out as LDGM does.
    ///
    /// Arm ARM: STGM, with `AArch64.MemTag[]`.
    public func stgm(_ tags: UInt64, at address: TaggedPointer) throws(MemoryFault) {
        let start = Self.blockStart(address, size: tagMultipleBlock.size)
        guard let run = dram.run(at: start, limit: tagMultipleBlock.size) else { throw .noMemory(start) }
        guard run.tagAddress != nil else { return }
        for granule in Self.granules(at: start, size: tagMultipleBlock.size) {
            dram.setAllocationTag(
                AllocationTag(truncating: tags >> Self.registerShift(of: granule)), at: granule)
        }
    }

    /// STZGM: stores the tag in bits 3:0 of `source` to all granules of the block, and zeroes it.
    ///
    /// Arm ARM: STZGM, with `AArch64.MemTag[]` and `Mem[]`.
    public func stzgm(_ source: UInt64, at address: TaggedPointer) throws(MemoryFault) {
        try storeZeroBlock(AllocationTag(truncating: source), at: address, zeroing: true)
    }

    /// DC GVA: stores `address`'s own tag to all granules of the block. Arm ARM: DC GVA, with `AArch64.MemTag[]`.
    public func dcGVA(_ address: TaggedPointer) throws(MemoryFault) {
        try storeZeroBlock(address.addressTag.matchingAllocationTag, at: address, zeroing: false)
    }

    /// DC GZVA: as DC GVA, and zeroes the block. Arm ARM: DC GZVA, with `AArch64.MemTag[]` and `AArch64.MemZero`.
    public func dcGZVA(_ address: TaggedPointer) throws(MemoryFault) {
        try storeZeroBlock(address.addressTag.matchingAllocationTag, at: address, zeroing: true)
    }

    /// DC ZVA: zeroes the block and leaves its tags. Arm ARM: DC ZVA, with `AArch64.MemZero`.
    ///
    /// The one of these that hardware checks: the caller checks the block first, as for any store.
    public func dcZVA(_ address: TaggedPointer) throws(MemoryFault) {
        let start = Self.blockStart(address, size: zeroBlock.size)
        try dram.requireMemory(at: start, count: zeroBlock.size)
        dram.zero(start, count: zeroBlock.size)
    }

    private func storeZeroBlock(
        _ tag: AllocationTag, at address: TaggedPointer, zeroing: Bool
    ) throws(MemoryFault) {
        let start = Self.blockStart(address, size: zeroBlock.size)
        try storeTags(tag, at: start, count: zeroBlock.size, zeroing: zeroing)
    }

    /// Arm ARM: `Align`.
    private static func blockStart(_ address: TaggedPointer, size: Int) -> PhysicalAddress {
        PhysicalAddress(address.address & ~(UInt64(size) - 1))
    }

    private static func granules(at start: PhysicalAddress, size: Int) -> some Sequence<PhysicalAddress> {
        stride(from: 0, to: UInt64(size), by: Int(TagGranule.size)).lazy.map { start + $0 }
    }

    /// Where a granule's tag is in LDGM's and STGM's register, in bits.
    private static func registerShift(of granule: PhysicalAddress) -> UInt64 {
        granule.rawValue / TagGranule.size % 16 * 4
    }
}
