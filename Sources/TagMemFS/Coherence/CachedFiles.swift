/// What is to be known of an object's files in page cache mode, where the kernel writes to its own pages before it asks.
///
/// Through the page cache the bytes of a write are in the kernel's page when the daemon is asked, and stay there when it
/// refuses: where the page is dirty it brings them back. A write that is refused although its bytes came back that way
/// counts as done. Whether they did is known from the pages that came back since the file's last write ended: writes to
/// one file follow one another, and the bytes of one are in no page before the last one is answered.
struct CachedFiles {
    /// Pages that came back since the file's last write, by the file's raw value.
    private var returned: [UInt32: PageSet] = [:]
    /// Offsets of pages that were handed out since the file's last write, with the numbers of the requests. The kernel may
    /// not have put up what was handed out last: it has one write to a file under way at a time, and what it asked for
    /// before that it has put up before it wrote.
    private var filled: [UInt32: [UInt64: UInt64]] = [:]
    /// Writes at which the kernel had nothing to show of the page, by file and page. What it was given before the write it
    /// may put up after that.
    private var unseen: [UInt32: [UInt64: [UnseenWrite]]] = [:]
    /// Pages that a file has only for a write that is under way, or was refused: nobody has looked at their tags.
    private var unjudged: [UInt32: PageSet] = [:]
    /// Pages of `mem` behind its end that were answered with zeros: a read that was under way while the object was cut.
    /// The kernel keeps them until it is told otherwise.
    private(set) var zeroPages: Set<UInt64> = []
    /// Whether the object is growing: such reads are refused, so that no such page comes to be any more.
    var isGrowing = false

    mutating func pageReturned(_ offset: UInt64, of kind: AliasKind) {
        returned[kind.rawValue, default: PageSet()].insert(offset)
    }

    mutating func addUnjudged(_ offset: UInt64, of kind: AliasKind) {
        unjudged[kind.rawValue, default: PageSet()].insert(offset)
    }

    func isUnjudged(_ offset: UInt64, of kind: AliasKind) -> Bool {
        unjudged.isEmpty ? false : unjudged[kind.rawValue]?.offsets.contains(offset) ?? false
    }

    mutating func removeUnjudged(_ offset: UInt64, of kind: AliasKind) {
        if !unjudged.isEmpty { unjudged[kind.rawValue]?.remove(offset) }
        if unjudged[kind.rawValue]?.offsets.isEmpty == true { unjudged[kind.rawValue] = nil }
    }

    mutating func writeEnded(_ kind: AliasKind) {
        if !returned.isEmpty { returned[kind.rawValue] = nil }
        if !filled.isEmpty { filled[kind.rawValue] = nil }
    }

    func hasReturned(_ offset: UInt64, of kind: AliasKind) -> Bool {
        returned[kind.rawValue]?.offsets.contains(offset) ?? false
    }

    /// The same, where it is not known of all pages.
    func mayHaveReturned(_ offset: UInt64, of kind: AliasKind) -> Bool {
        returned[kind.rawValue].map { $0.isFull || $0.offsets.contains(offset) } ?? false
    }

    /// The kernel gets a page, as memory is now.
    mutating func pageFilled(_ offset: UInt64, of kind: AliasKind, by number: UInt64) {
        // What was handed out so long ago is there.
        if filled[kind.rawValue]?.count == PageSet.maximum { filled[kind.rawValue] = nil }
        filled[kind.rawValue, default: [:]][offset] = number
        forgetUnseen(offset, of: kind)
        removeUnjudged(offset, of: kind)
    }

    func wasFilled(_ offset: UInt64, of kind: AliasKind, after number: UInt64) -> Bool {
        filled[kind.rawValue]?[offset].map { $0 > number } ?? false
    }

    mutating func addUnseen(_ write: UnseenWrite, _ offset: UInt64, of kind: AliasKind) {
        if unseen[kind.rawValue]?.count == PageSet.maximum { unseen[kind.rawValue] = nil }
        var writes = unseen[kind.rawValue]?[offset] ?? []
        if writes.count == UnseenWrite.maximum { writes.removeFirst() }
        unseen[kind.rawValue, default: [:]][offset] = writes + [write]
    }

    func unseenWrites(_ offset: UInt64, of kind: AliasKind) -> [UnseenWrite] {
        unseen.isEmpty ? [] : unseen[kind.rawValue]?[offset] ?? []
    }

    /// The kernel has no page from before those writes, or one from after.
    mutating func forgetUnseen(_ offset: UInt64, of kind: AliasKind) {
        guard !unseen.isEmpty, unseen[kind.rawValue]?.removeValue(forKey: offset) != nil else { return }
        if unseen[kind.rawValue]?.isEmpty == true { unseen[kind.rawValue] = nil }
    }

    mutating func forgetAllUnseen() { unseen = [:] }

    /// Notes a page of zeros. Returns false if there are too many: it cannot be handed out.
    mutating func addZeroPage(_ offset: UInt64) -> Bool {
        if isGrowing || zeroPages.count >= PageSet.maximum { return false }
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

/// Bytes of a page that a write has replaced.
struct UnseenWrite {
    let start: Int
    let old: [UInt8]

    /// So many are remembered of a page.
    static let maximum = 64
}

/// Pages of a file, of which a limited number is remembered.
private struct PageSet {
    private(set) var offsets: Set<UInt64> = []

    static let maximum = 1 << 14

    var isFull: Bool { offsets.count >= Self.maximum }

    mutating func insert(_ offset: UInt64) {
        if !isFull { offsets.insert(offset) }
    }

    mutating func remove(_ offset: UInt64) { offsets.remove(offset) }
}
