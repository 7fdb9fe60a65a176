public import Synchronization

/// What a processing element has that decides which accesses are checked and which tags are chosen: GCR_EL1, RGSR_EL1,
/// PSTATE.TCO and TCR_EL1.TCMA0. As it is after reset, but that IRG's tags are random.
///
/// A value of one word, so that threads can share an `Atomic` of it.
public struct ProcessorState: RawRepresentable, Equatable, Sendable, AtomicRepresentable {
    /// GCR_EL1 in bits 16:0, TCO in bit 17, TCMA0 in bit 18, RGSR_EL1 in bits 55:32.
    public private(set) var rawValue: UInt64

    /// Bits without a field are ignored.
    public init(rawValue: UInt64) { self.rawValue = rawValue & 0x00ff_ff0f_0007_ffff }

    public init() { self.init(rawValue: 1 << 16) }

    public var control: TagControl {
        get { TagControl(gcr: rawValue, rgsr: rawValue >> 32) }
        set { rawValue = rawValue & 0x6_0000 | newValue.gcr | newValue.rgsr << 32 }
    }

    /// PSTATE.TCO: no access is checked.
    public var overridesChecks: Bool {
        get { rawValue >> 17 & 1 == 1 }
        set { rawValue = rawValue & ~(1 << 17) | (newValue ? 1 << 17 : 0) }
    }

    /// TCR_EL1.TCMA0: pointers of the lower half of the address space with tag 0 are not checked.
    public var trustsTagZero: Bool {
        get { rawValue >> 18 & 1 == 1 }
        set { rawValue = rawValue & ~(1 << 18) | (newValue ? 1 << 18 : 0) }
    }

    /// Whether accesses through a pointer are checked. Arm ARM: `AArch64.AccessIsTagChecked`.
    @inlinable
    public func checks(_ pointer: TaggedPointer) -> Bool {
        if rawValue & 0x6_0000 == 0 { return true }
        if overridesChecks { return false }
        return !(trustsTagZero && !pointer.isInUpperHalf && pointer.addressTag.rawValue == 0)
    }
}
