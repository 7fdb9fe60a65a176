/// What is to be known of an object's files in page cache mode, where the kernel writes to its own pages before it asks.
///
/// Through the page cache the bytes of a write are in the kernel's page when the daemon is asked, and stay there when it
/// refuses: where the page is dirty it brings them back. A write that is refused although its bytes came back that way
/// counts as done. Whether they did is known from the pages that came back since the file's last write ended: writes to
/// one file follow one another, and the bytes of one are in no page before the last one is answered.
struct CachedFiles {
    /// Offsets of pages that came back through a view since its last write, by the view's raw value.
    private var returned: [UInt32: Set<UInt64>] = [:]
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
