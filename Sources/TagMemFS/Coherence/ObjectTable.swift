import TagMemCore

/// What is known of a memory object: its memory, and what its files have to do with it.
struct ObjectRecord {
    let id: ObjectID
    var memory: MemoryObject

    /// The job that changes the object's size, pages or kind at this moment; others wait.
    var reshaper: JobTask?
    /// Jobs that wait for that.
    var reshapersWaiting: [JobTask] = []
    /// The change of the mode that is under way; accesses that are checked queue up behind it, and other changes.
    var modeChange: JobTask?
    var modeChangesWaiting: [JobTask] = []
    /// Accesses that wait for the change of the mode.
    var waitingForMode: [WaitTicket] = []
    /// Accesses to the object that wait, whatever for.
    var waiting: Set<WaitTicket> = []

    /// Whether the object was removed: its pages go when its last file is closed.
    var isRemoved = false
    /// Whether the object is turning untagged: a view's page that has come back is gone for good.
    var isUntagging = false
    /// Tickets with pages that the object has lost. Its slot is its own as long as there are any.
    var tickets = 0
    /// Whether its pages are to be had without migration and without waiting, or not at all.
    var isAtomic = false
    /// Kinds of files (`AliasKind.bit`) whose size the kernel was ever told.
    var shownSizes: UInt32 = 0
    /// Files (`Alias.attributesBit`) whose attributes the kernel may have.
    var keptAttributes: UInt32 = 0
    /// Files that are open, of each kind.
    var openFiles = [Int32](repeating: 0, count: AliasKind.count)
    /// Files of each kind that are open for writing: only those can have dirty pages.
    var openWriters = [Int32](repeating: 0, count: AliasKind.count)
    /// Checked accesses that are copying at this moment.
    var checkedAccesses = 0
    /// Lines that are being recalled from views of this object.
    var recalledViewLines = 0
    /// A bit for each checked file whose next `fsync` or `close` reports an asynchronous fault.
    var deferredFaults: UInt32 = 0
    /// When its bytes were changed.
    var changes = ContentChanges()
    /// Where pages of `mem` that the kernel has may hold bytes from behind the end that they had: a page's offset, and
    /// those of the file's bytes.
    var staleBytes: [UInt64: Range<UInt64>] = [:]
    /// What the page cache mode keeps of each alias; empty in the other.
    var cached = CachedFiles()

    init(_ id: ObjectID, _ memory: MemoryObject) {
        self.id = id
        self.memory = memory
    }

    var hasOpenFiles: Bool { openFiles.contains { $0 > 0 } }

    /// Whether a checked access has to wait until the mode is changed.
    var isChangingMode: Bool { modeChange != nil }
}

/// The objects by their slots. The first is `phys`.
struct ObjectTable {
    /// A slot that is free has a record of number 0, which no object has.
    private var records: [ObjectRecord]
    private var freeSlots: [UInt32] = []

    /// Objects there can be at a time.
    static let maximumObjects = 1 << 20

    init(physical: MemoryObject) { records = [ObjectRecord(.physical, physical)] }

    /// No objects: what is left while somebody has borrowed the real ones.
    init() { records = [] }

    subscript(id: ObjectID) -> ObjectRecord {
        _read {
            precondition(records[Int(id.slot)].id == id, "object \(id) is gone")
            yield records[Int(id.slot)]
        }
        _modify {
            precondition(records[Int(id.slot)].id == id, "object \(id) is gone")
            yield &records[Int(id.slot)]
        }
    }

    /// See `MemoryObject.footprint`: in place, as every request asks, without a copy of the object.
    @inline(__always)
    func footprint(
        of kind: AliasKind?, _ id: ObjectID, at offset: UInt64, count: Int, _ map: LineMap
    ) -> Footprint {
        precondition(records[Int(id.slot)].id == id, "object \(id) is gone")
        return records.span[Int(id.slot)].memory.footprint(of: kind, at: offset, count: count, map)
    }

    func contains(_ id: ObjectID) -> Bool { self.id(inSlot: id.slot) == id }

    /// The object that owns pages under this slot.
    func id(inSlot slot: UInt32) -> ObjectID? {
        guard Int(slot) < records.count, records[Int(slot)].id.number != 0 else { return nil }
        return records[Int(slot)].id
    }

    /// Adds an object; nil if there are too many.
    mutating func add(_ memory: MemoryObject, number: UInt64) -> ObjectID? {
        if let slot = freeSlots.popLast() {
            let id = ObjectID(slot: slot, number: number)
            records[Int(slot)] = ObjectRecord(id, memory)
            return id
        }
        guard records.count <= Self.maximumObjects else { return nil }
        let id = ObjectID(slot: UInt32(records.count), number: number)
        records.append(ObjectRecord(id, memory))
        return id
    }

    /// An object that has no page any more.
    mutating func remove(_ id: ObjectID) {
        precondition(contains(id), "object \(id) is gone")
        records[Int(id.slot)] = ObjectRecord(ObjectID(slot: id.slot, number: 0), records[0].memory)
        freeSlots.append(id.slot)
    }

    /// All objects, `phys` first.
    var ids: [ObjectID] { records.map(\.id).filter { $0.number != 0 } }
}
