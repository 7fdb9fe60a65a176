/// A page's word in the reverse map.
///
/// ```
///    63  62   61      60 … 32    31 … 0
///   | use   | pinned | object   | index |
/// ```
///
/// All zero is a free page, so that fresh memory is a table of free pages.
struct PageEntry: Equatable {
    let rawValue: UInt64

    static let free = Self(rawValue: 0)
    private static let pinnedBit: UInt64 = 1 << 61

    private init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A word that was read from the table.
    init(word: UInt64) { rawValue = word }

    init(_ use: PageUse, _ owner: PageOwner) {
        rawValue = UInt64(use.rawValue) << 62 | UInt64(owner.object) << 32 | UInt64(owner.index)
    }

    /// nil if the page is free.
    var use: PageUse? { PageUse(rawValue: UInt8(rawValue >> 62)) }

    var isFree: Bool { rawValue == 0 }

    var isPinned: Bool { rawValue & Self.pinnedBit != 0 }

    var owner: PageOwner {
        PageOwner(
            object: UInt32(truncatingIfNeeded: rawValue >> 32 & (1 << 29 - 1)),
            uncheckedIndex: UInt32(truncatingIfNeeded: rawValue))
    }

    func pinned(_ isPinned: Bool) -> Self {
        Self(rawValue: isPinned ? rawValue | Self.pinnedBit : rawValue & ~Self.pinnedBit)
    }

    /// The same page with another use.
    func used(for use: PageUse) -> Self {
        Self(rawValue: rawValue & (1 << 62 - 1) | UInt64(use.rawValue) << 62)
    }

    /// The same page with another owner, unpinned.
    func owned(by owner: PageOwner) -> Self {
        guard let use else { preconditionFailure("a free page has no owner") }
        return Self(use, owner)
    }
}
