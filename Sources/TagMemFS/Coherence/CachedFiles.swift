/// What is to be known of an object's files in page cache mode, where the kernel writes to its own pages before it asks.
///
/// Through the page cache the bytes of a write are in the kernel's page when the daemon is asked, and stay there when it
/// refuses: where the page is dirty it brings them back. A write that is refused although its bytes came back that way
/// counts as done. Whether they did is known from the pages that came back since the file's last write ended: writes to
/// one file follow one another, and the bytes of one are in no page before the last one is answered.
struct CachedFiles {
    /// Offsets of pages that came back through a view since its last write, by the view's raw value.
    private var returned: [UInt32: Set<UInt64>] = [:]
    /// Pages that came back while a write of them was under way, or through a view that was not given them: the kernel had
    /// them from a write that it had not asked for yet.
    private var crossed: [UInt32: PageSet] = [:]
    /// Pages that the kernel has from writes that were refused.
    private var refused: [UInt32: PageSet] = [:]
    /// Pages of `mem` behind its end that were answered with zeros: a read that was under way while the object was cut.
    /// The kernel keeps them until it is told otherwise.
    private(set) var zeroPages: Set<UInt64> = []
    /// Whether the object is growing: such reads are refused, so that no such page comes to be any more.
    var isGrowing = false

    /// Pages that are remembered of a file at most. What came back beyond those is taken for not returned.
    private static let maximumPages = 1 << 14

    mutating func pageReturned(_ offset: UInt64, of kind: AliasKind) {
        guard returned[kind.rawValue, default: []].count < Self.maximumPages else { return }
        returned[kind.rawValue, default: []].insert(offset)
    }

    mutating func writeEnded(_ kind: AliasKind) {
        if !returned.isEmpty { returned[kind.rawValue] = nil }
    }

    func hasReturned(_ offset: UInt64, of kind: AliasKind) -> Bool {
        returned[kind.rawValue]?.contains(offset) ?? false
    }

    mutating func pageCrossed(_ offset: UInt64, of kind: AliasKind) {
        crossed[kind.rawValue, default: PageSet()].insert(offset)
    }

    /// Whether a page came back across the write that asks, which ends with that.
    mutating func takeCrossed(_ offset: UInt64, of kind: AliasKind) -> Bool {
        guard let isCrossed = crossed[kind.rawValue]?.remove(offset) else { return false }
        if crossed[kind.rawValue]?.isEmpty == true { crossed[kind.rawValue] = nil }
        return isCrossed
    }

    mutating func pageWasRefused(_ offset: UInt64, of kind: AliasKind) {
        refused[kind.rawValue, default: PageSet()].insert(offset)
    }

    func isRefused(_ offset: UInt64, of kind: AliasKind) -> Bool {
        refused[kind.rawValue]?.contains(offset) ?? false
    }

    /// A page was recalled.
    mutating func pageIsGone(_ offset: UInt64, of kind: AliasKind) {
        guard refused[kind.rawValue]?.remove(offset) == true else { return }
        if refused[kind.rawValue]?.isEmpty == true { refused[kind.rawValue] = nil }
    }

    /// Notes a page of zeros. Returns false if there are too many: it cannot be handed out.
    mutating func addZeroPage(_ offset: UInt64) -> Bool {
        if isGrowing || zeroPages.count >= Self.maximumPages { return false }
        zeroPages.insert(offset)
        return true
    }

    /// The pages that are to be dropped before the object grows to a size. Those that a write may have locked are not
    /// among them: what of them the object then has, the write fills; the rest is remembered.
    mutating func takeZeroPages(besides locked: Range<UInt64>, for size: UInt64) -> Set<UInt64> {
        defer { zeroPages = zeroPages.filter { locked.contains($0) && $0 >= size } }
        return zeroPages.filter { !locked.contains($0) }
    }
}

/// Pages of a file, of which a limited number is told apart: where there are more, it is as if it had all.
private struct PageSet {
    private var offsets: Set<UInt64> = []
    private var hasAll = false

    private static let maximum = 1 << 14

    var isEmpty: Bool { offsets.isEmpty && !hasAll }

    mutating func insert(_ offset: UInt64) {
        if offsets.count < Self.maximum { offsets.insert(offset) } else { hasAll = true }
    }

    func contains(_ offset: UInt64) -> Bool { hasAll || offsets.contains(offset) }

    /// Returns whether the page was there.
    mutating func remove(_ offset: UInt64) -> Bool { offsets.remove(offset) != nil || hasAll }
}
