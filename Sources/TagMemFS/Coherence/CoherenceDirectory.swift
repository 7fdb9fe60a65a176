import DequeModule
import TagMemCore

/// Keeps the aliases of memory coherent: a page of memory is cached by the kernel through at most one alias.
///
/// Every operation on memory claims the lines that it touches before it copies, and ends the claim afterwards. A claim
/// that conflicts waits in a queue, first come, first served, while the pages that stand in its way are recalled from
/// the kernel on a thread of their own (`Recaller`). No thread that serves requests ever waits for one of them.
///
/// The rules, with their reasons, are in Documentation/DESIGN.md, "Coherence". What holds at any time:
///
/// - The lines that one page of an alias's file shows are held by that alias all or not at all, so a recall of a page
///   never meets a queued fill of the same page, which would hold the page's lock in the kernel.
/// - A line with a writer is held by nobody, but by the alias that writes through the page cache. A line that is
///   recalled has a holder.
/// - Write-backs claim nothing: they are served at once, always.
///
/// Lock order: `state` is a leaf; nothing is called with it held but the model.
final class CoherenceDirectory: Sendable {
    let table: LineTable
    let dram: DRAM
    let counters: Counters
    /// The object whose aliases name lines by their physical address.
    let physical: ObjectAliases
    /// Whose the pages are. Guarded by `state`, as `table` is.
    let pages: PageStore
    let state = Guarded(State())
    /// Tells a recall thread of work. Set once before requests are served.
    let wakeRecaller: @Sendable (RecallLane) -> Void

    /// Bytes of waiting writes that are kept at most; further ones are refused.
    static let maximumQueuedBytes = 64 << 20

    struct State {
        var queue: [Waiter] = []
        var queuedBytes = 0
        /// Fills among them, and how many there may be.
        var queuedFills = 0
        var maximumQueuedFills = Int.max
        var lanes: [Lane] = RecallLane.allCases.map { _ in Lane() }
        /// A bit for each lane whose thread has not been told yet of jobs that were asked for.
        var wakes: UInt8 = 0
        var isDraining = false
        /// Operations whose turn has come, and whether a thread runs them.
        var ready: Deque<Waiter> = []
        var isRunningReady = false
        /// Whether pages moved, came or went since the queue was last looked at: what waits is to be looked at again.
        var needsReview = false
        /// Jobs that will free pages and need nothing for it but recalls of the free lane; and how often some did.
        var pendingReleases = 0
        var releases: UInt64 = 0

        subscript(lane: RecallLane) -> Lane {
            _read { yield lanes[lane.rawValue] }
            _modify { yield &lanes[lane.rawValue] }
        }
    }

    /// Recalls that are done one after the other.
    struct Lane {
        var jobs: Deque<RecallJob> = []
        /// What the thread is doing.
        var current: RecallJob?
        /// Jobs asked for so far.
        var sequence: UInt64 = 0
        /// All jobs up to this one are done.
        var doneSequence: UInt64 {
            let first = current ?? jobs.first
            return first.map { $0.sequence - 1 } ?? sequence
        }
    }

    init(
        physical: ObjectAliases, pages: PageStore, counters: Counters,
        wakeRecaller: @escaping @Sendable (RecallLane) -> Void
    ) throws(DRAMError) {
        self.physical = physical
        self.pages = pages
        dram = physical.object.dram
        self.counters = counters
        self.wakeRecaller = wakeRecaller
        table = try LineTable(map: physical.object.dram.map)
    }

    // MARK: Claims

    /// The memory that a range of an alias's file shows now; with `kind` nil, of `checked` at an address.
    /// With `handsOut`, whole pages.
    func footprint(
        of kind: AliasKind?, _ aliases: ObjectAliases, at offset: UInt64, count: Int, handsOut: Bool = false
    ) -> Footprint {
        func make() -> Footprint {
            // Any view: the tag plays no part.
            let kind = kind ?? .view(AddressTag(truncating: 0))
            return aliases.footprint(
                of: kind, at: offset, count: count, handsOut: handsOut, table: table)
        }
        return aliases.slot == nil ? make() : state.withLock { _ in make() }
    }

    /// Claims the lines of an operation, or gives it a place in the queue.
    ///
    /// Non-blocking. Linear in the lines of the footprint: about a nanosecond a line.
    func begin(_ claim: Claim) -> Admission {
        update { state in
            if let grant = decide(claim, &state) { return .decided(grant) }
            if state.isDraining { return .decided(.failed(.unmounting)) }
            if case .fill(let pages) = claim.purpose, pages > 1 {
                return .decided(.failed(.readaheadRefused))
            }
            let bytes = claim.isWrite ? claim.footprint.count : 0
            guard state.queuedBytes + bytes <= Self.maximumQueuedBytes else {
                return .decided(.failed(.overloaded))
            }
            if case .fill = claim.purpose {
                guard state.queuedFills < state.maximumQueuedFills else {
                    return .decided(.failed(.overloaded))
                }
                state.queuedFills += 1
            }
            counters.add(.requestsQueued)
            let waiter = Waiter(.claim(claim), bytes: bytes)
            wantLines(of: claim, &state)
            state.queue.append(waiter)
            state.queuedBytes += waiter.bytes
            return .queued(waiter)
        }
    }

    /// Leaves `operation` to be run when the waiter's turn comes; runs it now if it has come already.
    func wait(_ waiter: Waiter, _ operation: any DeferredOperation) {
        let grant = state.withLock { _ in
            if waiter.grant == nil { waiter.operation = operation }
            return waiter.grant
        }
        if let grant { operation.run(grant) }
    }

    /// Ends a granted claim: its lines are free for others.
    func end(_ claim: Claim) {
        update { state in
            let isWanted = unmark(claim)
            recallViews(after: claim, &state)
            if isWanted || claim.checkedTag != nil && claim.aliases.modeChange != nil {
                state.needsReview = true
            }
        }
    }

    /// Claims the memory of a page that comes back, which cannot wait. To be ended.
    func beginWriteback(
        of kind: AliasKind, _ aliases: ObjectAliases, at offset: UInt64, count: Int
    ) -> Claim {
        state.withLock { _ in
            let claim = Claim(
                .writeback, aliases: aliases, kind: kind,
                footprint: aliases.writebackFootprint(of: kind, at: offset, count: count, table: table))
            mark(claim)
            return claim
        }
    }

    /// Changes the mode of an object when every page that the old mode handed out and its tags refuse has come back.
    func changeMode(of aliases: ObjectAliases, to mode: TagCheckMode, then operation: any DeferredOperation) {
        enqueue(.modeChange(aliases, to: mode), operation)
    }

    /// Runs `operation` when all recalls from views that have been asked for are done.
    func afterRecalls(_ operation: any DeferredOperation) {
        let grant: Grant? = state.withLock { state in
            if state.isDraining { return .failed(.unmounting) }
            if state[.free].doneSequence == state[.free].sequence { return .granted(.none) }
            let waiter = Waiter(.recalls(upTo: state[.free].sequence))
            waiter.operation = operation
            state.queue.append(waiter)
            return nil
        }
        if let grant { operation.run(grant) }
    }

    /// Takes pages of these data lines away from views: their tags changed through a mapping.
    func recallViews(of dataLines: [Int]) {
        guard !dataLines.isEmpty else { return }
        update { state in
            for line in dataLines where table[line].isHeldByView { recall(line, &state) }
        }
    }

    /// Refuses fills when so many wait already. They may be background requests, of which the kernel has a limited
    /// number, and write-backs, which they wait for, need one of those.
    func limitQueuedFills(to count: Int) { state.withLock { $0.maximumQueuedFills = count } }

    /// Puts something into the queue, whose turn may have come already.
    func enqueue(_ condition: Waiter.Condition, _ operation: any DeferredOperation) {
        let waiter = Waiter(condition)
        waiter.operation = operation
        update { state in
            if state.isDraining {
                waiter.grant = .failed(.unmounting)
                state.ready.append(waiter)
            } else {
                state.queue.append(waiter)
                state.needsReview = true
            }
        }
    }

    /// Does something under the lock; then, without it, runs those whose turn this made come, and wakes the recall
    /// threads for what it asked them for.
    func update<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, wakes, hasReady): (Result, UInt8, Bool) = state.withLock { state in
            let result = body(&state)
            while state.needsReview {
                state.needsReview = false
                grantQueued(&state)
            }
            defer { state.wakes = 0 }
            return (result, state.wakes, !state.ready.isEmpty && !state.isRunningReady)
        }
        if wakes != 0 {
            for lane in RecallLane.allCases where wakes & lane.bit != 0 { wakeRecaller(lane) }
        }
        if hasReady { runReady() }
        return result
    }

    /// Refuses everything that would need a recall from now on, and everything that waits.
    func drain() {
        update { state in
            state.isDraining = true
            let waiters = state.queue
            state.queue = []
            for lane in RecallLane.allCases { state[lane].jobs = [] }
            for waiter in waiters {
                waiter.grant = .failed(.unmounting)
                if case .modeChange(let aliases, _) = waiter.condition { aliases.modeChange = nil }
            }
            state.ready.append(contentsOf: waiters)
        }
    }

    /// Whether a recall thread is inside the kernel.
    var isRecalling: Bool { state.withLock { state in state.lanes.contains { $0.current != nil } } }

    /// Runs operations whose turn has come. Those that this makes ready are run after them, by the thread that runs
    /// already: not one inside the other, however many wait.
    private func runReady() {
        let isRunning = state.withLock { state in
            defer { state.isRunningReady = true }
            return state.isRunningReady
        }
        if isRunning { return }
        while let waiter = nextReady() {
            guard let grant = waiter.grant, let operation = waiter.operation else { continue }
            operation.run(grant)
        }
    }

    private func nextReady() -> Waiter? {
        state.withLock { state in
            let waiter = state.ready.popFirst()
            if waiter == nil { state.isRunningReady = false }
            return waiter
        }
    }
}
