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
    let state = Guarded(State())
    /// Tells the recall thread of work. Set once before requests are served.
    let wakeRecaller: @Sendable () -> Void

    /// Bytes of waiting writes that are kept at most; further ones are refused.
    static let maximumQueuedBytes = 64 << 20

    struct State {
        var queue: [Waiter] = []
        var queuedBytes = 0
        /// Fills among them, and how many there may be.
        var queuedFills = 0
        var maximumQueuedFills = Int.max
        var jobs: Deque<RecallJob> = []
        var isRecalling = false
        /// Jobs asked for so far.
        var sequence: UInt64 = 0
        /// All jobs up to this one are done.
        var doneSequence: UInt64 = 0
        var isDraining = false
        /// Operations whose turn has come, and whether a thread runs them.
        var ready: Deque<Waiter> = []
        var isRunningReady = false
    }

    init(
        physical: ObjectAliases, counters: Counters, wakeRecaller: @escaping @Sendable () -> Void
    ) throws(DRAMError) {
        self.physical = physical
        dram = physical.object.dram
        self.counters = counters
        self.wakeRecaller = wakeRecaller
        table = try LineTable(map: physical.object.dram.map)
    }

    // MARK: Claims

    /// Claims the lines of an operation, or gives it a place in the queue.
    ///
    /// Non-blocking. Linear in the lines of the footprint: about a nanosecond a line.
    func begin(_ claim: Claim) -> Admission {
        let (admission, recalls): (Admission, Bool) = state.withLock { state in
            if let grant = decide(claim) { return (.decided(grant), false) }
            if state.isDraining { return (.decided(.failed(.unmounting)), false) }
            if case .fill(let pages) = claim.purpose, pages > 1 {
                return (.decided(.failed(.readaheadRefused)), false)
            }
            let bytes = claim.isWrite ? claim.footprint.count : 0
            guard state.queuedBytes + bytes <= Self.maximumQueuedBytes else {
                return (.decided(.failed(.overloaded)), false)
            }
            if case .fill = claim.purpose {
                guard state.queuedFills < state.maximumQueuedFills else {
                    return (.decided(.failed(.overloaded)), false)
                }
                state.queuedFills += 1
            }
            counters.add(.requestsQueued)
            let waiter = Waiter(.claim(claim), bytes: bytes)
            let before = state.sequence
            wantLines(of: claim, &state)
            state.queue.append(waiter)
            state.queuedBytes += waiter.bytes
            return (.queued(waiter), state.sequence != before)
        }
        if recalls { wakeRecaller() }
        return admission
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
        let (ready, recalls): ([Waiter], Bool) = state.withLock { state in
            let isWanted = unmark(claim)
            let before = state.sequence
            recallViews(after: claim, &state)
            let recalls = state.sequence != before
            guard isWanted || claim.checkedTag != nil && claim.aliases.modeChange != nil else {
                return ([], recalls)
            }
            return (grantQueued(&state), recalls)
        }
        if recalls { wakeRecaller() }
        run(ready)
    }

    /// Changes the mode of an object when every page that the old mode handed out and its tags refuse has come back.
    func changeMode(of aliases: ObjectAliases, to mode: TagCheckMode, then operation: any DeferredOperation) {
        let ready = state.withLock { state in
            let waiter = Waiter(.modeChange(aliases, to: mode))
            waiter.operation = operation
            if state.isDraining {
                waiter.grant = .failed(.unmounting)
                return [waiter]
            }
            state.queue.append(waiter)
            return grantQueued(&state)
        }
        run(ready)
    }

    /// Runs `operation` when all recalls that have been asked for are done.
    func afterRecalls(_ operation: any DeferredOperation) {
        let grant: Grant? = state.withLock { state in
            if state.doneSequence == state.sequence { return .granted(.none) }
            if state.isDraining { return .failed(.unmounting) }
            let waiter = Waiter(.recalls(upTo: state.sequence))
            waiter.operation = operation
            state.queue.append(waiter)
            return nil
        }
        if let grant { operation.run(grant) }
    }

    /// Takes pages of these data lines away from views: their tags changed through a mapping.
    func recallViews(of dataLines: [Int]) {
        guard !dataLines.isEmpty else { return }
        let recalls = state.withLock { state in
            let before = state.sequence
            for line in dataLines where table[line].isHeldByView { recall(line, &state) }
            return state.sequence != before
        }
        if recalls { wakeRecaller() }
    }

    /// Refuses fills when so many wait already. They may be background requests, of which the kernel has a limited
    /// number, and write-backs, which they wait for, need one of those.
    func limitQueuedFills(to count: Int) { state.withLock { $0.maximumQueuedFills = count } }

    // MARK: Open files

    /// Counts a file of an alias that was opened for writing (`change` 1) or released (-1).
    func countWriter(of kind: AliasKind, _ aliases: ObjectAliases, change: Int) {
        state.withLock { _ in aliases.openWriters[Int(kind.rawValue)] += change }
    }

    /// Refuses everything that would need a recall from now on, and everything that waits.
    func drain() {
        let waiters = state.withLock { state in
            state.isDraining = true
            let waiters = state.queue
            state.queue = []
            state.jobs = []
            for waiter in waiters {
                waiter.grant = .failed(.unmounting)
                if case .modeChange(let aliases, _) = waiter.condition { aliases.modeChange = nil }
            }
            return waiters
        }
        run(waiters)
    }

    /// Whether the recall thread is inside the kernel.
    var isRecalling: Bool { state.withLock { $0.isRecalling } }

    /// Runs operations whose turn has come. Those that this makes ready are run after them, by the thread that runs
    /// already: not one inside the other, however many wait.
    func run(_ waiters: [Waiter]) {
        guard !waiters.isEmpty else { return }
        let isRunning = state.withLock { state in
            state.ready.append(contentsOf: waiters)
            defer { state.isRunningReady = true }
            return state.isRunningReady
        }
        if isRunning { return }
        while let waiter = nextReady() {
            guard let grant = waiter.grant, let operation = waiter.operation else { continue }
            operation.run(grant)
        }
    }

    func nextReady() -> Waiter? {
        state.withLock { state in
            let waiter = state.ready.popFirst()
            if waiter == nil { state.isRunningReady = false }
            return waiter
        }
    }
}
