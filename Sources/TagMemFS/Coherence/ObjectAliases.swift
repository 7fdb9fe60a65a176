import Synchronization
import TagMemCore

/// One memory object's cached files, seen as aliases of physical memory.
///
/// The directory's lock guards the variables.
final class ObjectAliases: @unchecked Sendable {
    var object: MemoryObject
    /// Part of the node numbers of the object's files.
    let number: UInt64
    /// A bit for each checked file whose next `fsync` or `close` reports an asynchronous fault.
    let deferredFaults = Atomic<UInt32>(0)

    /// The object's number as the owner of pages; nil for `phys`, which owns none.
    let slot: UInt32?
    /// Changes whenever the object's pages move, come or go, or its size does.
    var version: UInt64 = 0
    /// The job that changes the object's size, pages or kind at this moment; others wait.
    var reshaper: PageJob?
    /// Whether the object was removed: its pages go when its last file is closed.
    var isRemoved = false
    /// Tickets with pages that the object has lost. Its number is its own as long as there are any.
    var tickets = 0
    /// Whether its pages are to be had without migration and without waiting, or not at all.
    var isAtomic = false
    /// Kinds of files (`AliasKind.bit`) whose size the kernel was ever told.
    var shownSizes: UInt32 = 0
    /// Files that are open, of each kind.
    var openFiles = [Int](repeating: 0, count: AliasKind.count)

    /// Files of each kind that are open for writing: only those can have dirty pages.
    var openWriters = [Int](repeating: 0, count: AliasKind.count)
    /// Checked operations that are copying at this moment.
    var checkedOperations = 0
    /// Lines that are being recalled from views of this object.
    var recalledViewLines = 0
    /// The change of the mode that is under way; checked operations queue up behind it.
    var modeChange: Waiter?

    init(object: MemoryObject, number: UInt64, slot: UInt32? = nil) {
        self.object = object
        self.number = number
        self.slot = slot
    }

    /// An alias as `LineState` holds it.
    func holder(_ kind: AliasKind) -> UInt16 {
        slot == nil ? kind.rawValue : kind.rawValue | LineState.objectBit
    }

    /// The node whose pages the kernel caches for an alias.
    func node(of kind: AliasKind) -> NodeID {
        switch kind {
        case .mem: NodeID(object: number, role: .mem)
        case .tags: NodeID(object: number, role: .tags)
        case .tagsHex: NodeID(object: number, role: .tagsHex)
        case .view(let tag): NodeID(object: number, role: .view(tag))
        }
    }

    /// The footprint of a range of an alias's file. Offsets and counts are the file's.
    ///
    /// What is handed out is handed out by whole pages: their lines are those of memory behind the object's end, too,
    /// which the page will show when the object grows.
    ///
    /// With the directory's lock held, save for `phys`; see `CoherenceDirectory.footprint`.
    func footprint(
        of kind: AliasKind, at offset: UInt64, count: Int, handsOut: Bool = false, table: LineTable
    ) -> Footprint {
        var footprint =
            switch kind {
            case .mem, .view:
                object.footprint(ofMemoryAt: offset, count: count, checked: kind.isView, table: table)
            case .tags: object.footprint(ofTagsAt: offset, count: count, table: table)
            case .tagsHex:
                object.footprint(
                    ofTagsAt: offset / 2, count: Int((offset % 2 + UInt64(count) + 1) / 2), table: table)
            }
        if handsOut, slot != nil, footprint.stop == .pastEnd, footprint.count > 0 {
            footprint.spans = spans(
                ofPagesAt: offset, count: count, in: kind, within: .lastPage, table: table)
        }
        footprint.version = version
        return footprint
    }

    /// The memory that a page which comes back goes to: what was stored through a view is kept, also when the object
    /// has just turned untagged. With the directory's lock held.
    func writebackFootprint(of kind: AliasKind, at offset: UInt64, count: Int, table: LineTable) -> Footprint
    {
        footprint(of: kind.isView ? .mem : kind, at: offset, count: count, table: table)
    }

    /// The lines that a page of an alias's file shows, whatever the object's size and kind are now. With the
    /// directory's lock held.
    func lines(ofPageAt offset: UInt64, in kind: AliasKind, table: LineTable) -> [Int] {
        let spans = spans(ofPagesAt: offset, count: Int(Page.size), in: kind, within: .pages, table: table)
        return spans.indices.flatMap { Array(spans[$0].lines) }
    }

    private func spans(
        ofPagesAt offset: UInt64, count: Int, in kind: AliasKind, within bound: MemoryObject.Bound,
        table: LineTable
    ) -> ShortList<LineSpan> {
        switch kind {
        case .mem, .view:
            object.footprint(ofMemoryAt: offset, count: count, checked: false, within: bound, table: table)
                .spans
        case .tags: object.footprint(ofTagsAt: offset, count: count, within: bound, table: table).spans
        case .tagsHex:
            object.footprint(ofTagsAt: offset / 2, count: count / 2, within: bound, table: table).spans
        }
    }

    /// The page of an alias's file that shows an address of the object, as a file offset.
    func pageOffset(of address: UInt64, in kind: AliasKind) -> UInt64 { Page.start(address / kind.scale) }
}
