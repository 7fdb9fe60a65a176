import DequeModule
import TagMemCore

/// All that the directory's lock protects: who has which line, whose the pages are, who waits for what.
///
/// Reachable inside of `CoherenceDirectory.update` alone: whoever has it holds the lock. What a step of it makes
/// possible for others is put down while it runs, and brought about by `settle` before the lock is released.
///
/// It and a `MemoryAccess` are large, and what only looks at one is given a copy of its bytes: so what every request
/// passes is inlined.
struct MemoryState: ~Copyable {
    let dram: DRAM
    let map: LineMap
    let counters: Counters
    var lines: LineTable
    var pages: PageStore
    var objects: ObjectTable
    var recalls = RecallLanes()
    var waits = WaitTable()
    var jobs = JobQueue()
    /// Operations whose turn has come.
    var ready: Deque<ReadyOperation> = []
    /// What is to be said to the kernel, recalls aside.
    var notices: Deque<Notice> = []
    /// Pages that the kernel has of its own accord, and that are to go: nobody waits for that.
    var strays: Deque<StrayPage> = []
    /// Notices of attributes that are not said.
    var untoldAttributes = 0
    /// Whether files of memory go through the kernel's page cache, which then writes to its own pages first.
    var usesPageCache = false
    var isDraining = false
    /// Threads that are to be told of work when the lock is released.
    var work: Work = []

    /// Lines that somebody waits at and where something has ended.
    private var touched: [Int] = []
    /// Addresses of objects whose pages moved, came or went.
    private var changed: [(object: ObjectID, addresses: Range<UInt64>)] = []

    init(
        physical: MemoryObject, pages: consuming PageStore, counters: Counters
    ) throws(DRAMError) {
        dram = physical.dram
        map = LineMap(physical.dram.map)
        lines = try LineTable(lineCount: map.lineCount)
        self.counters = counters
        self.pages = pages
        objects = ObjectTable(physical: physical)
    }

    // MARK: What steps leave behind

    /// Changes a line, and lets those go on later who wait for something that has ended there.
    mutating func set(_ line: Int, _ state: LineState) {
        lines[line] = state
        if state.isAwaited { touched.append(line) }
    }

    /// Pages of the object at these addresses moved, came, went or were handed out: what waits for them is to be resolved
    /// again.
    mutating func noteChange(of object: ObjectID, _ addresses: Range<UInt64>) {
        guard !objects[object].waiting.isEmpty else { return }
        changed.append((object, addresses))
    }

    /// Lets everybody go on whose turn has come.
    mutating func settle() {
        while true {
            if let (object, addresses) = changed.popLast() {
                restartWaiters(of: object, addresses)
            } else if let line = touched.popLast() {
                wake(line)
            } else {
                return
            }
        }
    }

    // MARK: Pages that move

    /// Calls `body` with the allocator and with a mover that has the lines and the objects meanwhile.
    mutating func withMover<Result, Failure: Error>(
        _ body: (inout PageAllocator, inout CoherentMover) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var mover = CoherentMover(dram: dram, map: map, layout: pages.layout)
        swap(&lines, &mover.lines)
        swap(&objects, &mover.objects)
        defer {
            swap(&lines, &mover.lines)
            swap(&objects, &mover.objects)
            for line in mover.touched { touched.append(line) }
            for (object, addresses) in mover.relocated { noteChange(of: object, addresses) }
        }
        return try body(&pages.allocator, &mover)
    }

    /// The lines of a page of the allocator; the companions are those of its tags, or of the data that it has tags of.
    func span(of frame: PageFrame) -> LineSpan {
        map.span(of: frame, dram, pages.layout)
    }

    /// The object that owns the page at a physical address, and the object's address of it; nil for a page that is
    /// free, reserved, or not the allocator's.
    func owner(at address: PhysicalAddress) -> (object: ObjectID, address: UInt64)? {
        guard let (owner, offset) = pages.owner(at: address), let id = objects.id(inSlot: owner.object)
        else { return nil }
        return (id, UInt64(owner.index) * pages.layout.pageSize + offset)
    }

    /// The object whose alias holds a line, and the object's address of what the alias shows of it.
    func holder(of line: Int) -> (object: ObjectID, address: UInt64) {
        let state = lines[line]
        let (memory, tagged) = map.location(of: line)
        var shown = memory
        if state.holderKind?.showsTags == true {
            guard let tagged else { preconditionFailure("line \(line) holds no tags") }
            shown = tagged
        }
        guard state.isHeldByObject else { return (.physical, shown.rawValue) }
        guard let owner = owner(at: shown) else { preconditionFailure("line \(line) is nobody's") }
        return owner
    }

    /// Whether the holder of a line may have stored to it.
    func mayBeDirty(_ line: Int) -> Bool {
        guard let kind = lines[line].holderKind else { return false }
        return objects[holder(of: line).object].openWriters[Int(kind.rawValue)] > 0
    }
}

extension LineMap {
    /// The lines of a page of the allocator.
    func span(of frame: PageFrame, _ dram: DRAM, _ layout: BlockLayout) -> LineSpan {
        let address = layout.address(of: frame)
        guard let run = dram.run(at: address, limit: Int(layout.pageSize)) else {
            preconditionFailure("a page at \(address) is not in memory")
        }
        return span(at: address, count: run.count, inRegion: run.region)
    }
}

/// Threads that have something to do. See "Threads" in Documentation/DESIGN.md.
struct Work: OptionSet {
    let rawValue: UInt8

    static let recallFree = Work(rawValue: 1)
    static let recallSized = Work(rawValue: 2)
    static let ready = Work(rawValue: 4)
    static let jobs = Work(rawValue: 8)
    static let notices = Work(rawValue: 16)
    static let strays = Work(rawValue: 32)

    static func recall(_ lane: RecallLane) -> Work { lane == .free ? .recallFree : .recallSized }
}

/// Something whose turn has come: run without the lock, by a thread that serves no requests.
enum ReadyOperation {
    /// An access that waits no more, and is this thread's alone.
    case access(Waiter)
    case done(any Completion, FileError?)

    func run() {
        switch self {
        case .access(let waiter): if let grant = waiter.grant { waiter.operation?.run(grant, waiter.access) }
        case .done(let completion, let error): completion.run(error)
        }
    }
}

/// A page of a file that the kernel has from a write that was refused.
struct StrayPage: Equatable {
    let node: NodeID
    /// In bytes.
    let offset: UInt64

    /// So many are dropped at most; what the kernel has of others goes when it wants.
    static let maximum = 1 << 10
}

/// Something to be said to the kernel that is no recall of a page that is in the way.
enum Notice {
    /// A file has become larger.
    case size(UInt64, of: NodeID)
    /// Clean pages that are not to be kept.
    case drop(NodeID, offset: UInt64, length: UInt64)
    /// Attributes that the kernel may have are not right any more.
    case attributes(of: NodeID)
    /// Asks what the kernel has cached of a page.
    case retrieve(NodeID, offset: UInt64, then: @Sendable ([UInt8]?) -> Void)
    /// Something else that is said.
    case call(@Sendable () -> Void)
    /// Everything before is said.
    case done(JobEnd, FileError?)
}
