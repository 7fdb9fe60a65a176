import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Allocation tags: reading, writing, filling and checking them.
///
/// Addresses are of the data whose tags are meant; all of it must be MTE-capable memory of one region. A tag byte
/// holds two granules' tags, the lower address in the low nibble.
extension DRAM {
    /// The allocation tag of the granule at `address`. Arm ARM: `AArch64.MemTag[]`, read.
    public func allocationTag(at address: PhysicalAddress) -> AllocationTag {
        // SAFETY: `tagPointer` traps unless the tag byte is in a mapping.
        let byte = unsafe tagPointer(of: address, count: 1).load(as: UInt8.self)
        return AllocationTag(truncating: UInt64(byte >> Self.nibbleShift(address.rawValue)))
    }

    /// Sets the allocation tag of the granule at `address`. Arm ARM: `AArch64.MemTag[]`, write.
    ///
    /// Atomic: the other granule of the tag byte can have its tag set by another thread at the same time, as on
    /// hardware.
    public func setAllocationTag(_ tag: AllocationTag, at address: PhysicalAddress) {
        let shift = Self.nibbleShift(address.rawValue)
        // SAFETY: `Atomic<UInt8>` has the layout of the byte; the pointer is into a mapping that lives as long as
        // `self`, and DRAM's bytes are of no other type.
        let byte = unsafe tagPointer(of: address, count: 1).assumingMemoryBound(to: Atomic<UInt8>.self)
        var current = unsafe byte.pointee.load(ordering: .relaxed)
        while true {
            let desired = current & ~(0xf << shift) | tag.rawValue << shift
            let (isExchanged, original) = unsafe byte.pointee.weakCompareExchange(
                expected: current, desired: desired, ordering: .relaxed)
            if isExchanged { return }
            current = original
        }
    }

    /// Sets the tags of all granules that `count` bytes at `address` touch.
    public func fillTags(_ tag: AllocationTag, at address: PhysicalAddress, count: Int) {
        guard count > 0 else { return }
        var first = address.rawValue / TagGranule.size
        var end = (address.rawValue + UInt64(count) - 1) / TagGranule.size + 1
        if first % 2 == 1 {
            setAllocationTag(tag, at: PhysicalAddress(first * TagGranule.size))
            first += 1
        }
        if end % 2 == 1, end > first {
            end -= 1
            setAllocationTag(tag, at: PhysicalAddress(end * TagGranule.size))
        }
        guard first < end else { return }
        let start = PhysicalAddress(first * TagGranule.size)
        // SAFETY: `tagPointer` traps unless the tags of all these bytes of data are in one mapping.
        unsafe memset(
            tagPointer(of: start, count: Int((end - first) * TagGranule.size)), Int32(tag.packedPair),
            Int((end - first) / 2))
    }

    /// Checks every granule that `count` bytes at `address` touch against `tag`.
    ///
    /// - Returns: the address of the first byte accessed that lies in a mismatching granule, or nil if all match.
    ///   Arm ARM: `AArch64.CheckTag`. Speed: vector code, 512 tag bytes (16 KiB of data) at a time.
    public func firstMismatch(of tag: AddressTag, at address: PhysicalAddress, count: Int) -> PhysicalAddress?
    {
        guard count > 0 else { return nil }
        let wanted = tag.matchingAllocationTag
        let end = address.rawValue + UInt64(count)
        let firstGranule = address.rawValue / TagGranule.size
        let endGranule = (end - 1) / TagGranule.size + 1
        // SAFETY: `tagPointer` traps unless the tags of all `count` bytes are in one mapping, which `byteCount` spans.
        let tags = unsafe UnsafeRawPointer(tagPointer(of: address, count: count))
        // Tag bytes from the one that holds `firstGranule`, the nibbles outside the access at both ends left out.
        let byteCount = Int((endGranule + 1) / 2 - firstGranule / 2)
        let pattern = wanted.packedPair
        let skipsLow = firstGranule % 2 == 1
        let skipsHigh = endGranule % 2 == 1
        var index = 0
        while index < byteCount {
            let blockEnd = index == 0 ? 1 : min(index + 512, byteCount - 1)
            if index == 0 || index == byteCount - 1 {
                var difference = unsafe tags.load(fromByteOffset: index, as: UInt8.self) ^ pattern
                if index == 0, skipsLow { difference &= 0xf0 }
                if index == byteCount - 1, skipsHigh { difference &= 0x0f }
                if difference != 0 {
                    return Self.mismatch(inByte: index, difference, from: firstGranule, access: address)
                }
                index += 1
                continue
            }
            var difference: UInt8 = 0
            for position in index..<blockEnd {
                difference |= unsafe tags.load(fromByteOffset: position, as: UInt8.self) ^ pattern
            }
            if difference != 0 {
                for position in index..<blockEnd {
                    let difference = unsafe tags.load(fromByteOffset: position, as: UInt8.self) ^ pattern
                    if difference != 0 {
                        return Self.mismatch(
                            inByte: position, difference, from: firstGranule, access: address)
                    }
                }
            }
            index = blockEnd
        }
        return nil
    }

    @inline(__always)
    private static func nibbleShift(_ address: UInt64) -> UInt8 { address & TagGranule.size == 0 ? 0 : 4 }

    private static func mismatch(
        inByte index: Int, _ difference: UInt8, from firstGranule: UInt64, access: PhysicalAddress
    ) -> PhysicalAddress {
        let granule = (firstGranule / 2 + UInt64(index)) * 2 + (difference & 0x0f == 0 ? 1 : 0)
        return max(access, PhysicalAddress(granule * TagGranule.size))
    }
}
