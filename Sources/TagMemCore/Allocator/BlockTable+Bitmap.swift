/// Which pages of a block are in use, and what for.
extension BlockTable {
    /// The first position of `range` that is free, or with `use` in use for that.
    func firstPosition(in block: BlockIndex, _ range: Range<Int>, use: PageUse?) -> Int? {
        var word = range.lowerBound >> 6
        var skip = UInt64.max << UInt64(range.lowerBound & 63)
        while word << 6 < range.upperBound {
            let bits = self[block, word: word]
            let found =
                switch use {
                case nil: ~bits.used & skip
                case .untagged: bits.used & ~bits.tagged & skip
                case .tagged: bits.tagged & skip
                }
            if found != 0 {
                let position = word << 6 + found.trailingZeroBitCount
                return position < range.upperBound ? position : nil
            }
            word += 1
            skip = .max
        }
        return nil
    }

    /// The first free position below `limit` of a block of up to 64 pages, from `first` on and then from 0.
    @inline(__always)
    func firstFree(in block: BlockIndex, below limit: Int, first: Int) -> Int? {
        let free = ~self[block, word: 0].used & UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- limit)
        let start = UInt64(truncatingIfNeeded: first)
        let turned = free &>> start | free &<< (64 &- start)
        return free == 0 ? nil : (turned.trailingZeroBitCount &+ first) & 63
    }

    @inline(__always)
    private static func bit(_ place: Place) -> UInt64 {
        1 &<< UInt64(truncatingIfNeeded: place.position & 63)
    }

    @inline(__always)
    func isUsed(_ place: Place) -> Bool {
        self[place.block, word: place.position &>> 6].used & Self.bit(place) != 0
    }

    /// What a page that is in use is used for.
    @inline(__always)
    func use(of place: Place) -> PageUse {
        let bits = self[place.block, word: place.position &>> 6]
        precondition(bits.used & Self.bit(place) != 0, "the page is free")
        return bits.tagged & Self.bit(place) != 0 ? .tagged : .untagged
    }

    @inline(__always)
    func setUsed(_ place: Place, for use: PageUse) {
        let bit = Self.bit(place)
        var bits = self[place.block, word: place.position &>> 6]
        precondition(bits.used & bit == 0, "the page is in use already")
        bits.used |= bit
        bits.tagged |= use == .tagged ? bit : 0
        self[place.block, word: place.position &>> 6] = bits
    }

    /// - Returns: what the page was used for.
    @inline(__always)
    func setFree(_ place: Place) -> PageUse {
        let bit = Self.bit(place)
        var bits = self[place.block, word: place.position &>> 6]
        precondition(bits.used & bit != 0, "the page is free already")
        let use: PageUse = bits.tagged & bit != 0 ? .tagged : .untagged
        bits.used &= ~bit
        bits.tagged &= ~bit
        self[place.block, word: place.position &>> 6] = bits
        return use
    }
}
