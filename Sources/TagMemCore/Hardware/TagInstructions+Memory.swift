/// Instructions that load or store the tags of one or two granules.
///
/// In the stores, `source` is the register whose bits 59:56 are the tag to store. They need an address that is a
/// multiple of 16.
///
/// All throw `MemoryFault.noMemory` if the access touches a hole; the stores throw `MemoryFault.misaligned` first.
extension TagInstructions {
    /// LDG: `target` with the allocation tag of the granule that holds the byte at `address` as its address tag.
    ///
    /// Arm ARM: LDG, with `AArch64.MemTag[]` and `AArch64.AddressWithAllocationTag`. Any alignment.
    public func ldg(_ target: TaggedPointer, at address: TaggedPointer) throws(MemoryFault) -> TaggedPointer {
        let tag = try loadTag(at: address.physicalAddress.granuleStart)
        return target.withAddressTag(AddressTag(truncating: UInt64(tag.rawValue)))
    }

    /// STG: stores one granule's tag. Arm ARM: STG, with `AArch64.MemTag[]`.
    public func stg(_ source: TaggedPointer, at address: TaggedPointer) throws(MemoryFault) {
        try store(tagOf: source, granules: 1, at: address)
    }

    /// ST2G: stores two granules' tags. Arm ARM: ST2G, with `AArch64.MemTag[]`.
    public func st2g(_ source: TaggedPointer, at address: TaggedPointer) throws(MemoryFault) {
        try store(tagOf: source, granules: 2, at: address)
    }

    /// STZG: as STG, and zeroes the granule. Arm ARM: STZG, with `AArch64.MemTag[]` and `Mem[]`.
    public func stzg(_ source: TaggedPointer, at address: TaggedPointer) throws(MemoryFault) {
        try store(tagOf: source, granules: 1, at: address, zeroing: true)
    }

    /// STZ2G: as ST2G, and zeroes the granules. Arm ARM: STZ2G, with `AArch64.MemTag[]` and `Mem[]`.
    public func stz2g(_ source: TaggedPointer, at address: TaggedPointer) throws(MemoryFault) {
        try store(tagOf: source, granules: 2, at: address, zeroing: true)
    }

    /// STGP: stores `low` and `high` at `address`, little-endian, and `address`'s own tag.
    ///
    /// Arm ARM: STGP, with `AArch64.MemTag[]` and `Mem[]`.
    public func stgp(_ low: UInt64, _ high: UInt64, at address: TaggedPointer) throws(MemoryFault) {
        try store(tagOf: address, granules: 1, at: address)
        // SAFETY: the bytes are those of the value beside, for the closure's duration.
        unsafe withUnsafeBytes(of: (low.littleEndian, high.littleEndian)) {
            unsafe dram.write($0, to: address.physicalAddress)
        }
    }

    private func store(
        tagOf source: TaggedPointer, granules: Int, at address: TaggedPointer, zeroing: Bool = false
    ) throws(MemoryFault) {
        guard address.physicalAddress.isAligned(to: TagGranule.size) else { throw .misaligned(address) }
        let tag = source.addressTag.matchingAllocationTag
        try storeTags(
            tag, at: address.physicalAddress, count: granules * Int(TagGranule.size), zeroing: zeroing)
    }
}

extension TagInstructions {
    /// The allocation tag of the granule at `address`; 0 where memory is not MTE-capable.
    ///
    /// Arm ARM: `AArch64.MemTag[]`, read.
    func loadTag(at address: PhysicalAddress) throws(MemoryFault) -> AllocationTag {
        guard let run = dram.run(at: address, limit: Int(TagGranule.size)) else { throw .noMemory(address) }
        return run.tagAddress == nil ? AllocationTag(truncating: 0) : dram.allocationTag(at: address)
    }

    /// Sets the tags of the `count` bytes at `address`, whole granules, where memory is MTE-capable; zeroes all of the
    /// data if asked to.
    ///
    /// Arm ARM: `AArch64.MemTag[]`, write, for each granule, and `Mem[]` of zeros.
    public func storeTags(
        _ tag: AllocationTag, at address: PhysicalAddress, count: Int, zeroing: Bool
    ) throws(MemoryFault) {
        try dram.forEachRun(at: address, count: count) { run in
            if zeroing { dram.zero(run.address, count: run.count) }
            if run.tagAddress != nil { dram.fillTags(tag, at: run.address, count: run.count) }
        }
    }
}
