/// The two registers that steer the choice of tags: GCR_EL1 and RGSR_EL1.
///
/// ```
///   GCR_EL1     63            17   16   15                 0
///               │      0      │ RRND │      Exclude       │    bit t of Exclude: tag t is not chosen
///   RGSR_EL1    63        24 23              8 7    4 3    0
///               │      0    │      SEED       │  0   │ TAG │
/// ```
///
/// One value belongs to one processing element (a thread of the emulated program). It models a machine on which
/// allocation tags are accessible at the current exception level (SCTLR_ELx.ATA and HCR_EL2.ATA are 1).
public struct TagControl: Equatable, Sendable {
    /// GCR_EL1.Exclude: bit *t* set means that IRG, ADDG and SUBG do not choose tag *t*.
    public var excluded: UInt16
    /// GCR_EL1.RRND: IRG takes its tags from a random source of the implementation's choice, not from `seed`.
    public var usesImplementationRandomness: Bool
    /// RGSR_EL1.SEED, the state of the feedback shift register. From 0 it never leaves 0.
    public var seed: UInt16
    /// RGSR_EL1.TAG: the tag that IRG chose last, from which it starts to count.
    public var lastTag: AddressTag

    public init(
        excluded: UInt16 = 0, usesImplementationRandomness: Bool = false, seed: UInt16 = 0,
        lastTag: AddressTag = AddressTag(truncating: 0)
    ) {
        self.excluded = excluded
        self.usesImplementationRandomness = usesImplementationRandomness
        self.seed = seed
        self.lastTag = lastTag
    }

    /// From the registers' contents; bits without a field are ignored.
    public init(gcr: UInt64, rgsr: UInt64) {
        self.init()
        self.gcr = gcr
        self.rgsr = rgsr
    }

    /// GCR_EL1 as `MRS` reads it and `MSR` writes it.
    public var gcr: UInt64 {
        get { UInt64(excluded) | (usesImplementationRandomness ? 1 << 16 : 0) }
        set {
            excluded = UInt16(truncatingIfNeeded: newValue)
            usesImplementationRandomness = newValue >> 16 & 1 == 1
        }
    }

    /// RGSR_EL1 as `MRS` reads it and `MSR` writes it.
    public var rgsr: UInt64 {
        get { UInt64(seed) << 8 | UInt64(lastTag.rawValue) }
        set {
            seed = UInt16(truncatingIfNeeded: newValue >> 8)
            lastTag = AddressTag(truncating: newValue)
        }
    }
}
