/// Instructions that compute pointers and masks and access no memory.
extension TagInstructions {
    /// IRG: `pointer` with a random address tag, of those that neither GCR_EL1.Exclude nor `mask` excludes.
    ///
    /// - Parameters:
    ///   - mask: the Xm operand; bit *t* excludes tag *t*, bits 63:16 are ignored.
    ///   - generator: the random source with GCR_EL1.RRND = 1; not used with 0. With 1 the architecture leaves
    ///     RGSR_EL1 UNKNOWN, and here it keeps its value.
    /// - Returns: address tag 0 if every tag is excluded.
    ///
    /// Arm ARM: IRG, with `AArch64.RandomTag`, `AArch64.ChooseNonExcludedTag` and `AArch64.AddressWithAllocationTag`.
    public mutating func irg(
        _ pointer: TaggedPointer, excluding mask: UInt64 = 0,
        using generator: inout some RandomNumberGenerator
    ) -> TaggedPointer {
        let excluded = UInt16(truncatingIfNeeded: mask) | control.excluded
        let tag: AddressTag
        if control.usesImplementationRandomness {
            tag = TagControl.chooseRandomNonExcludedTag(excluded: excluded, using: &generator)
        } else {
            let offset = control.randomTag()
            tag = TagControl.chooseNonExcludedTag(from: control.lastTag, offset: offset, excluded: excluded)
            control.lastTag = tag
        }
        return pointer.withAddressTag(tag)
    }

    /// IRG with the host's random numbers for GCR_EL1.RRND = 1.
    public mutating func irg(_ pointer: TaggedPointer, excluding mask: UInt64 = 0) -> TaggedPointer {
        var generator = SystemRandomNumberGenerator()
        return irg(pointer, excluding: mask, using: &generator)
    }

    /// ADDG: `pointer` moved up `offset` bytes, with the address tag `tagOffset` steps above its own.
    ///
    /// - Parameters:
    ///   - offset: a multiple of 16 up to 1008, as the instruction encodes it; traps otherwise.
    ///   - tagOffset: 0 to 15, counted in tags that GCR_EL1.Exclude leaves; traps otherwise.
    ///
    /// The whole pointer takes part in the addition, which wraps at 2^64; bits 59:56 are replaced afterwards.
    /// Arm ARM: ADDG, with `AArch64.AllocationTagFromAddress` and `AArch64.ChooseNonExcludedTag`.
    public func addg(_ pointer: TaggedPointer, offset: UInt64, tagOffset: UInt8) -> TaggedPointer {
        Self.requireEncodable(offset: offset, tagOffset: tagOffset)
        return retagged(pointer, address: pointer.rawValue &+ offset, tagOffset: tagOffset)
    }

    /// SUBG: as ADDG, `offset` bytes down. The tag still counts upwards.
    ///
    /// Arm ARM: SUBG, with `AArch64.AllocationTagFromAddress` and `AArch64.ChooseNonExcludedTag`.
    public func subg(_ pointer: TaggedPointer, offset: UInt64, tagOffset: UInt8) -> TaggedPointer {
        Self.requireEncodable(offset: offset, tagOffset: tagOffset)
        return retagged(pointer, address: pointer.rawValue &- offset, tagOffset: tagOffset)
    }

    /// GMI: `mask` with the bit of `pointer`'s address tag set.
    ///
    /// Arm ARM: GMI, with `AArch64.AllocationTagFromAddress`.
    public static func gmi(_ pointer: TaggedPointer, mask: UInt64) -> UInt64 {
        mask | 1 << UInt64(pointer.addressTag.rawValue)
    }

    /// SUBP: the distance in bytes from `right` to `left`, both sign-extended from bits 55:0.
    ///
    /// Arm ARM: SUBP, with `AddWithCarry`.
    public static func subp(_ left: TaggedPointer, _ right: TaggedPointer) -> UInt64 {
        subps(left, right).difference
    }

    /// SUBPS: as SUBP, with the condition flags of the subtraction.
    ///
    /// Arm ARM: SUBPS, with `AddWithCarry`.
    public static func subps(
        _ left: TaggedPointer, _ right: TaggedPointer
    ) -> (difference: UInt64, flags: ConditionFlags) {
        let left = signExtended(left)
        let right = signExtended(right)
        let (difference, overflow) = left.subtractingReportingOverflow(right)
        var flags: ConditionFlags = []
        if difference < 0 { flags.insert(.negative) }
        if difference == 0 { flags.insert(.zero) }
        if UInt64(bitPattern: left) >= UInt64(bitPattern: right) { flags.insert(.carry) }
        if overflow { flags.insert(.overflow) }
        return (UInt64(bitPattern: difference), flags)
    }

    private func retagged(_ pointer: TaggedPointer, address: UInt64, tagOffset: UInt8) -> TaggedPointer {
        TaggedPointer(rawValue: address).withAddressTag(
            TagControl.chooseNonExcludedTag(
                from: pointer.addressTag, offset: tagOffset, excluded: control.excluded))
    }

    private static func requireEncodable(offset: UInt64, tagOffset: UInt8) {
        precondition(
            offset % TagGranule.size == 0 && offset < 64 * TagGranule.size,
            "ADDG and SUBG cannot encode an offset of \(offset) bytes")
        precondition(tagOffset < 16, "ADDG and SUBG cannot encode a tag offset of \(tagOffset)")
    }

    /// Bits 55:0 as a signed number. Arm ARM: `SignExtend`.
    private static func signExtended(_ pointer: TaggedPointer) -> Int64 {
        Int64(bitPattern: pointer.rawValue << 8) >> 8
    }
}

/// PSTATE's condition flags; the raw value is bits 31:28 of NZCV, N highest.
public struct ConditionFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let negative = Self(rawValue: 8)
    public static let zero = Self(rawValue: 4)
    /// No borrow, for a subtraction.
    public static let carry = Self(rawValue: 2)
    public static let overflow = Self(rawValue: 1)
}
