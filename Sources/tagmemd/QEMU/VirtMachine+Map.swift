import TagMemCore

/// The machine's memory.
///
/// ```
///   0     1 GiB          end, in whole GiB        from 256 GiB on, as far as 52 bits reach    highest + 1
///   │ I/O │ RAM          │                        │ redistributors │ ECAM │ PCI window │      │ tags: RAM / 32
/// ```
///
/// As hw/arm/virt.c of QEMU 7.0 places it. With `highmem=off` there is nothing above 4 GiB, so the tags follow the RAM.
extension VirtMachine {
    static let ramBase: UInt64 = 1 << 30
    /// What QEMU takes where there is no `-m`.
    static let defaultSize = QEMUSize(bytes: 128 << 20)

    private static let gib: UInt64 = 1 << 30

    /// - Parameter size: of the RAM in bytes, whole Tag Blocks.
    /// - Throws: `Failure` if that is too much, `MemoryMapError` if its tags are.
    func map(ram size: UInt64) throws -> MemoryMap {
        let limit = usesHighMemory ? PhysicalAddress.limit : 1 << 32
        guard size <= limit - Self.ramBase else {
            throw Failure(
                "\(size) bytes of memory from 1 GiB up reach past \(usesHighMemory ? "52" : "32") address bits"
            )
        }
        let base = PhysicalAddress(Self.ramBase)
        guard hasMTE else { return try MemoryMap(regions: [.init(start: base, size: size, kind: .ordinary)]) }
        guard sharesTagStorage else {
            return try MemoryMap(regions: [.init(start: base, size: size, kind: .dataWithHiddenTags)])
        }
        let tagBase = PhysicalAddress(Self.end(ram: size, limit: limit))
        return try MemoryMap(regions: [
            .init(start: base, size: size, kind: .data(tagBase: tagBase)),
            .init(start: tagBase, size: size / TagGranule.bytesPerTagByte, kind: .tagStorage),
        ])
    }

    /// The first address behind everything that the machine has.
    private static func end(ram size: UInt64, limit: UInt64) -> UInt64 {
        var end = roundUp(ramBase + size, to: gib)
        var position = max(end, 256 * gib)
        // Redistributors, ECAM and the PCI window, each at a multiple of its size, and only if it fits.
        for size: UInt64 in [64 << 20, 256 << 20, 512 * gib] {
            let start = roundUp(position, to: size)
            if start <= limit, size <= limit - start { end = start + size }
            position = start + size
        }
        return end
    }

    private static func roundUp(_ value: UInt64, to unit: UInt64) -> UInt64 {
        (value + unit - 1) / unit * unit
    }
}
