/// The tag instructions of one processing element, on the machine's memory.
///
/// | on pointers (`+Pointer`)  | on granules (`+Memory`)            | on blocks (`+Block`)                   |
/// | ------------------------- | ---------------------------------- | -------------------------------------- |
/// | IRG ADDG SUBG             | LDG STG ST2G STZG STZ2G STGP       | LDGM STGM STZGM DC ZVA, GVA, GZVA      |
/// | GMI SUBP SUBPS            |                                    |                                        |
///
/// **Addresses.** Instructions take the effective address; pre-index, post-index, offsets and write-back are the
/// caller's. Bits 55:0 of it are the physical address, the top byte is ignored (TBI): translation is the caller's as
/// well, and an access that crosses a page of its address space is one call a page.
///
/// **Memory.** Every access is complete or throws and changes nothing. In memory that is not MTE-capable allocation
/// tags read as 0 and writes of them do nothing, while effects on data happen, as in memory without the Tagged
/// attribute on hardware. The accesses are Tag Unchecked (DC ZVA's check is the caller's).
///
/// **Threads.** A value belongs to one thread, as registers do; the memory is shared as DRAM is. Different granules'
/// tags can be stored at the same time; an instruction that accesses several is not atomic.
///
/// Source: Arm Architecture Reference Manual (DDI 0487), C6.2 for the instructions; each function names the pseudocode
/// function at the heart of it.
public struct TagInstructions: Sendable {
    public let dram: DRAM
    /// GCR_EL1 and RGSR_EL1.
    public var control: TagControl
    /// GMID_EL1.BS.
    public let tagMultipleBlock: TagMultipleBlock
    /// DCZID_EL0.BS.
    public let zeroBlock: ZeroBlock

    public init(
        dram: DRAM, control: TagControl = TagControl(), tagMultipleBlock: TagMultipleBlock = .bytes256,
        zeroBlock: ZeroBlock = .bytes64
    ) {
        self.dram = dram
        self.control = control
        self.tagMultipleBlock = tagMultipleBlock
        self.zeroBlock = zeroBlock
    }
}

extension TaggedPointer {
    /// Where the pointer points in physical memory: bits 55:0.
    var physicalAddress: PhysicalAddress { PhysicalAddress(address) }
}
