/// What a block is used for.
public enum BlockState: UInt8, Sendable {
    /// All pages are free: the block is in the pool of Tag Blocks.
    case free = 0
    /// All d + g pages are untagged pages, used or free.
    case untagged = 1
    /// The Tag Pages are reserved; Data Pages are tagged, lent as untagged pages, or free.
    case tagged = 2
}

/// A block's counts and its links in a list; the bitmap of its used pages lies behind it in `BlockTable`.
///
/// All zero is a free block. What must hold between operations:
///
///     free:      usedData == 0, usedTag == 0
///     untagged:  usedData + usedTag > 0, tagged == 0, tagPageUse == .data
///     tagged:    0 < tagged <= usedData <= d, usedTag == 0, tagPageUse == .tags
///     lent      == usedData - tagged   (of a tagged block)
struct BlockRecord {
    /// Three words, in registers or whole in memory: a load of a word after a store of a part of it would wait for all
    /// stores before, cache misses among them.
    ///
    ///     63      48 47      32 31   24 23      16 15    8 7   0
    ///     next                  | previous                        links
    ///     usedData  | tagged    | marks | tagPageUse | state | list   uses
    ///     pinnedTag | pinnedData | pinnedTagged      | usedTag    counts
    private var links: UInt64 = 0
    private var uses: UInt64 = 0
    private var counts: UInt64 = 0

    @inline(__always)
    private static func replace(_ word: inout UInt64, _ shift: UInt64, _ mask: UInt64, _ value: UInt64) {
        word = word & ~(mask << shift) | value << shift
    }

    /// The neighbours in the list; index + 1, 0 for none.
    var next: UInt32 {
        @inline(__always) get { UInt32(truncatingIfNeeded: links >> 32) }
        @inline(__always) set { Self.replace(&links, 32, 0xffff_ffff, UInt64(newValue)) }
    }
    var previous: UInt32 {
        @inline(__always) get { UInt32(truncatingIfNeeded: links) }
        @inline(__always) set { Self.replace(&links, 0, 0xffff_ffff, UInt64(newValue)) }
    }
    /// The list that the block is in.
    var list: BlockLists.ID {
        @inline(__always) get { BlockLists.ID(rawValue: UInt8(truncatingIfNeeded: uses)) }
        @inline(__always) set { Self.replace(&uses, 0, 0xff, UInt64(newValue.rawValue)) }
    }
    var state: BlockState {
        @inline(__always) get { BlockState(rawValue: UInt8(truncatingIfNeeded: uses >> 8)) ?? .free }
        @inline(__always) set { Self.replace(&uses, 8, 0xff, UInt64(newValue.rawValue)) }
    }
    var tagPageUse: TagPageUse {
        @inline(__always) get { TagPageUse(rawValue: UInt8(truncatingIfNeeded: uses >> 16)) ?? .data }
        @inline(__always) set { Self.replace(&uses, 16, 0xff, UInt64(newValue.rawValue)) }
    }
    var marks: Marks {
        @inline(__always) get { Marks(rawValue: UInt8(truncatingIfNeeded: uses >> 24)) }
        @inline(__always) set { Self.replace(&uses, 24, 0xff, UInt64(newValue.rawValue)) }
    }
    /// Data Pages in tagged use.
    var tagged: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: uses >> 32) }
        @inline(__always) set { Self.replace(&uses, 32, 0xffff, UInt64(newValue)) }
    }
    /// Data Pages in any use.
    var usedData: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: uses >> 48) }
        @inline(__always) set { Self.replace(&uses, 48, 0xffff, UInt64(newValue)) }
    }
    /// Tag Pages in use for data.
    var usedTag: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: counts >> 0) }
        @inline(__always) set { Self.replace(&counts, 0, 0xffff, UInt64(newValue)) }
    }
    /// Pages that may not move: tagged ones, untagged ones in Data Pages, untagged ones in Tag Pages.
    var pinnedTagged: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: counts >> 16) }
        @inline(__always) set { Self.replace(&counts, 16, 0xffff, UInt64(newValue)) }
    }
    var pinnedData: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: counts >> 32) }
        @inline(__always) set { Self.replace(&counts, 32, 0xffff, UInt64(newValue)) }
    }
    var pinnedTag: UInt16 {
        @inline(__always) get { UInt16(truncatingIfNeeded: counts >> 48) }
        @inline(__always) set { Self.replace(&counts, 48, 0xffff, UInt64(newValue)) }
    }

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

    var used: Int { Int(usedData) + Int(usedTag) }

    /// Data Pages lent as untagged pages, if the block is tagged.
    var lent: Int { Int(usedData) - Int(tagged) }

    /// The record with one page more in use.
    func occupying(_ use: PageUse, isTagPage: Bool) -> Self {
        var record = self
        if isTagPage { record.usedTag += 1 } else { record.usedData += 1 }
        if use == .tagged { record.tagged += 1 }
        return record
    }

    /// The record with one page fewer in use.
    func vacating(_ use: PageUse, isTagPage: Bool) -> Self {
        var record = self
        if isTagPage { record.usedTag -= 1 } else { record.usedData -= 1 }
        if use == .tagged { record.tagged -= 1 }
        return record
    }

    /// The record with a page pinned, or no longer.
    func pinning(_ use: PageUse, isTagPage: Bool, _ isPinned: Bool) -> Self {
        var record = self
        let change: (UInt16) -> UInt16 = { isPinned ? $0 + 1 : $0 - 1 }
        switch (use, isTagPage) {
        case (.tagged, _): record.pinnedTagged = change(pinnedTagged)
        case (.untagged, false): record.pinnedData = change(pinnedData)
        case (.untagged, true): record.pinnedTag = change(pinnedTag)
        }
        return record
    }

    /// The state that the counts ask for.
    var settledState: BlockState {
        if tagged > 0 { .tagged } else if used > 0 { .untagged } else { .free }
    }
}
