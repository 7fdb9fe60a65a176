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
    /// The neighbours in the list; index + 1, 0 for none.
    var next: UInt32 = 0
    var previous: UInt32 = 0
    /// The list that the block is in.
    var list: BlockLists.ID = .none
    var state: BlockState = .free
    var tagPageUse: TagPageUse = .data
    var marks: Marks = []
    /// Data Pages in tagged use.
    var tagged: UInt16 = 0
    /// Data Pages in any use.
    var usedData: UInt16 = 0
    /// Tag Pages in use for data.
    var usedTag: UInt16 = 0
    /// Pages that may not move: tagged ones, untagged ones in Data Pages, untagged ones in Tag Pages.
    var pinnedTagged: UInt16 = 0
    var pinnedData: UInt16 = 0
    var pinnedTag: UInt16 = 0

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
