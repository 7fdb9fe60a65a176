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

    /// What a page that is in use is used for.
    @inline(__always)
    func use(of place: Place) -> PageUse {
        precondition(isUsed(place), "the page is free")
        let word = self[place.block, word: words + (place.position >> 6)]
        return word >> UInt64(place.position & 63) & 1 == 1 ? .tagged : .untagged
    }

    @inline(__always)
    func setUsed(_ place: Place, for use: PageUse) {
        let bit: UInt64 = 1 << UInt64(place.position & 63)
        let word = self[place.block, word: place.position >> 6]
        precondition(word & bit == 0, "the page is in use already")
        self[place.block, word: place.position >> 6] = word | bit
        if use == .tagged { self[place.block, word: words + (place.position >> 6)] |= bit }
    }

    @inline(__always)
    func setFree(_ place: Place) {
        let bit: UInt64 = 1 << UInt64(place.position & 63)
        self[place.block, word: place.position >> 6] &= ~bit
        self[place.block, word: words + (place.position >> 6)] &= ~bit
    }
}
