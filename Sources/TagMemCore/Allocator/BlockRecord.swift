/// What a block is used for.
public enum BlockState: UInt8, Sendable {
    /// All pages are free: the block is in the pool of Tag Blocks.
    case free = 0
    /// All d + g pages are untagged pages, used or free.
    case untagged = 1
    /// The Tag Pages are reserved; Data Pages are tagged, lent as untagged pages, or free.
    case tagged = 2
}

/// A block's counts; the bitmaps of its pages lie behind it in `BlockTable`.
///
/// All zero is a free block. What must hold between operations:
///
///     free:      usedData == 0, usedTag == 0
///     untagged:  usedData + usedTag > 0, tagged == 0, tagPageUse == .data
///     tagged:    0 < tagged <= usedData <= d, usedTag == 0, tagPageUse == .tags    (0 <= tagged if it is fixed)
///     lent      == usedData - tagged   (of a tagged block)
struct BlockRecord {
    /// Two words, in registers or whole in memory: a load of a word after a store of a part of it would wait for all
    /// stores before, cache misses among them. Counts of up to 2112 pages take 12 bits.
    ///
    ///     51      40 39    28 27      16 15   12 11    10           9   8   7  0
    ///     usedTag   | tagged | usedData | marks | fixed | tagPageUse | state | list  uses
    ///     pinnedTag | pinnedData | pinnedTagged                                     pins, 16 bits each
    private var uses: UInt64 = 0
    private var pins: UInt64 = 0

    private static let count: UInt64 = 0xfff

    @inline(__always)
    private static func replace(_ word: inout UInt64, _ shift: UInt64, _ mask: UInt64, _ value: UInt64) {
        word = word & ~(mask &<< shift) | value &<< shift
    }

    /// The list that the block is in.
    var list: BlockLists.ID {
        @inline(__always) get { BlockLists.ID(rawValue: UInt8(truncatingIfNeeded: uses)) }
        @inline(__always) set { Self.replace(&uses, 0, 0xff, UInt64(newValue.rawValue)) }
    }
    var state: BlockState {
        @inline(__always) get { BlockState(rawValue: stateBits) ?? .free }
        @inline(__always) set { Self.replace(&uses, 8, 3, UInt64(newValue.rawValue)) }
    }
    /// The state's raw value, for comparisons without branches.
    var stateBits: UInt8 {
        @inline(__always) get { UInt8(truncatingIfNeeded: uses &>> 8 & 3) }
    }
    var tagPageUse: TagPageUse {
        @inline(__always) get { TagPageUse(rawValue: UInt8(truncatingIfNeeded: uses &>> 10 & 1)) ?? .data }
        @inline(__always) set { Self.replace(&uses, 10, 1, UInt64(newValue.rawValue)) }
    }
    /// Whether the block is in tagged use for good: its tags are hidden, there is no Tag Page to give back.
    var isFixed: Bool {
        @inline(__always) get { uses & Self.fixedBit != 0 }
        @inline(__always) set { Self.replace(&uses, 11, 1, newValue ? 1 : 0) }
    }
    private static let fixedBit: UInt64 = 1 << 11
    var marks: Marks {
        @inline(__always) get { Marks(rawValue: UInt8(truncatingIfNeeded: uses &>> 12 & 0xf)) }
        @inline(__always) set { Self.replace(&uses, 12, 0xf, UInt64(newValue.rawValue)) }
    }
    /// Data Pages in any use.
    var usedData: Int {
        @inline(__always) get { Int(truncatingIfNeeded: uses &>> 16 & Self.count) }
    }
    /// Data Pages in tagged use.
    var tagged: Int {
        @inline(__always) get { Int(truncatingIfNeeded: uses &>> 28 & Self.count) }
    }
    /// Tag Pages in use for data.
    var usedTag: Int {
        @inline(__always) get { Int(truncatingIfNeeded: uses &>> 40 & Self.count) }
    }
    /// Pages that may not move: tagged ones, untagged ones in Data Pages, untagged ones in Tag Pages.
    var pinnedTagged: Int { Int(truncatingIfNeeded: pins & 0xffff) }
    var pinnedData: Int { Int(truncatingIfNeeded: pins >> 16 & 0xffff) }
    var pinnedTag: Int { Int(truncatingIfNeeded: pins >> 32 & 0xffff) }

    var hasPins: Bool { pins != 0 }

    /// What an operation that is under way knows of a block.
    struct Marks: OptionSet {
        let rawValue: UInt8
        /// Being emptied: in no list, and its state stays what it is.
        static let claimed = Self(rawValue: 1)
        /// Emptying or converting it failed.
        static let tried = Self(rawValue: 2)
        /// None of its lent pages would move.
        static let lentTried = Self(rawValue: 4)
        /// Compaction could not empty it, and leaves it alone until it has tried all others. Outlasts a call.
        static let refused = Self(rawValue: 8)
    }

    var used: Int {
        @inline(__always) get { usedData &+ usedTag }
    }

    /// Data Pages lent as untagged pages, if the block is tagged.
    var lent: Int { usedData - tagged }

    /// What one page adds to the counts.
    @inline(__always)
    private static func page(_ use: PageUse, _ isTagPage: Bool) -> UInt64 {
        (isTagPage ? 1 &<< 40 : 1 &<< 16) | (use == .tagged ? 1 &<< 28 : 0)
    }

    /// The record with one page more in use.
    @inline(__always)
    func occupying(_ use: PageUse, isTagPage: Bool) -> Self {
        var record = self
        record.uses &+= Self.page(use, isTagPage)
        return record
    }

    /// The record with one page fewer in use.
    @inline(__always)
    func vacating(_ use: PageUse, isTagPage: Bool) -> Self {
        var record = self
        record.uses &-= Self.page(use, isTagPage)
        return record
    }

    /// The record with a page pinned, or no longer.
    func pinning(_ use: PageUse, isTagPage: Bool, _ isPinned: Bool) -> Self {
        var record = self
        let page: UInt64 = use == .tagged ? 1 : isTagPage ? 1 << 32 : 1 << 16
        record.pins = isPinned ? pins + page : pins - page
        return record
    }

    /// The state that the counts ask for.
    var settledState: BlockState {
        @inline(__always) get { BlockState(rawValue: settledBits) ?? .free }
    }
    /// Its raw value, without branches.
    var settledBits: UInt8 {
        @inline(__always) get { uses & (Self.count &<< 28 | Self.fixedBit) != 0 ? 2 : used != 0 ? 1 : 0 }
    }
}
