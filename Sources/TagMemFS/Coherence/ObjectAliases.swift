import Synchronization
import TagMemCore

/// One memory object's cached files, seen as aliases of physical memory.
///
/// The directory's lock guards the variables.
final class ObjectAliases: @unchecked Sendable {
    let object: MemoryObject
    /// Part of the node numbers of the object's files.
    let number: UInt64
    /// A bit for each checked file whose next `fsync` or `close` reports an asynchronous fault.
    let deferredFaults = Atomic<UInt32>(0)

    /// Files of each kind that are open for writing: only those can have dirty pages.
    var openWriters = [Int](repeating: 0, count: AliasKind.count)
    /// Checked operations that are copying at this moment.
    var checkedOperations = 0
    /// Lines that are being recalled from views of this object.
    var recalledViewLines = 0
    /// The change of the mode that is under way; checked operations queue up behind it.
    var modeChange: Waiter?

    init(object: MemoryObject, number: UInt64) {
        self.object = object
        self.number = number
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
    func footprint(of kind: AliasKind, at offset: UInt64, count: Int, table: LineTable) -> Footprint {
        switch kind {
        case .mem: object.footprint(ofMemoryAt: offset, count: count, checked: false, table: table)
        case .view: object.footprint(ofMemoryAt: offset, count: count, checked: true, table: table)
        case .tags: object.footprint(ofTagsAt: offset, count: count, table: table)
        case .tagsHex:
            object.footprint(
                ofTagsAt: offset / 2, count: Int((offset % 2 + UInt64(count) + 1) / 2), table: table)
        }
    }

    /// The page of an alias's file that shows a line, as a file offset.
    func pageOffset(of line: Int, in kind: AliasKind, table: LineTable) -> UInt64 {
        let (physical, tagged) = table.location(of: line)
        switch kind {
        case .mem, .view:
            return Page.start(object.address(of: physical))
        case .tags, .tagsHex:
            guard let tagged else { preconditionFailure("line \(line) holds no tags") }
            let scale = kind == .tags ? TagGranule.bytesPerTagByte : TagGranule.size
            return Page.start(object.address(of: tagged) / scale)
        }
    }
}
