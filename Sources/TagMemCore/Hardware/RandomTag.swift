/// How IRG, ADDG and SUBG come to a tag.
extension TagControl {
    /// Four bits from the seed, the first in bit 0; advances the seed by four steps.
    ///
    /// Arm ARM: `AArch64.RandomTag`.
    mutating func randomTag() -> UInt8 {
        var bits: UInt8 = 0
        for position in 0..<4 { bits |= randomTagBit() << UInt8(position) }
        return bits
    }

    /// One step of the feedback shift register with taps 5, 3, 2 and 0; the bit shifted in is the result.
    ///
    /// Arm ARM: `AArch64.RandomTagBit`.
    private mutating func randomTagBit() -> UInt8 {
        let top = (seed >> 5 ^ seed >> 3 ^ seed >> 2 ^ seed) & 1
        seed = top << 15 | seed >> 1
        return UInt8(top)
    }

    /// The tag that lies `offset` steps above `start`, counting only tags that `excluded` leaves; 0 if it leaves none.
    ///
    /// An offset of 0 gives `start` itself, or the next tag above it that is left. Counting wraps from 15 to 0.
    /// Arm ARM: `AArch64.ChooseNonExcludedTag`.
    static func chooseNonExcludedTag(from start: AddressTag, offset: UInt8, excluded: UInt16) -> AddressTag {
        guard excluded != .max else { return AddressTag(truncating: 0) }
        var tag = start.rawValue
        if offset == 0 { skipExcluded() }
        for _ in 0..<offset {
            tag = (tag + 1) & 0xf
            skipExcluded()
        }
        return AddressTag(truncating: UInt64(tag))

        func skipExcluded() {
            while excluded >> UInt16(tag) & 1 == 1 { tag = (tag + 1) & 0xf }
        }
    }

    /// Any tag that `excluded` leaves, each as likely; 0 if it leaves none.
    ///
    /// Arm ARM: `ChooseRandomNonExcludedTag`, whose distribution the implementation defines.
    static func chooseRandomNonExcludedTag(
        excluded: UInt16, using generator: inout some RandomNumberGenerator
    ) -> AddressTag {
        let choices = AddressTag.all.filter { excluded >> UInt16($0.rawValue) & 1 == 0 }
        return choices.randomElement(using: &generator) ?? AddressTag(truncating: 0)
    }
}
