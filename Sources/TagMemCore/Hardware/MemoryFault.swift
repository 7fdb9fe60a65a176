/// Why an access to memory was refused. Nothing was changed by it.
///
/// Tag check faults are not among them: tag instructions are Tag Unchecked, and checked accesses report theirs as an
/// address (`DRAM.firstMismatch`).
public enum MemoryFault: Error, Equatable, Sendable {
    /// The access must be aligned to a tag granule (16 bytes) and is not.
    ///
    /// The pointer is what FAR_EL1 would hold: the effective address with its top byte. Arm ARM: `AArch64.Abort` of an
    /// `AlignmentFault`.
    case misaligned(TaggedPointer)
    /// The memory map has a hole at this address, the lowest such of the access.
    case noMemory(PhysicalAddress)
}

extension MemoryFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .misaligned(let pointer): "the tag access at \(pointer) is not aligned to a tag granule"
        case .noMemory(let address): "there is no memory at \(address)"
        }
    }
}
