/// Which pages of a block are in use.
extension BlockTable {
    /// The first position of `range` that is free (or, with `used` true, in use).
    @inline(__always)
    func firstPosition(in block: BlockIndex, _ range: Range<Int>, used: Bool) -> Int? {
        var word = range.lowerBound >> 6
        var skip = UInt64.max << UInt64(range.lowerBound & 63)
        while word << 6 < range.upperBound {
            let bits = (used ? self[block, word: word] : ~self[block, word: word]) & skip
            if bits != 0 {
                let position = word << 6 + bits.trailingZeroBitCount
                return position < range.upperBound ? position : nil
            }
            word += 1
            skip = .max
        }
        return nil
    }

    @inline(__always)
    func isUsed(_ place: Place) -> Bool {
        self[place.block, word: place.position >> 6] >> UInt64(place.position & 63) & 1 == 1
    }

    @inline(__always)
    func setUsed(_ place: Place, _ isUsed: Bool) {
        let bit: UInt64 = 1 << UInt64(place.position & 63)
        let word = self[place.block, word: place.position >> 6]
        precondition(
            (word & bit == 0) == isUsed, isUsed ? "the page is in use already" : "the page is free already")
        self[place.block, word: place.position >> 6] = word ^ bit
    }
}
