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
    private let dram: DRAM
    private let counters: Counters
    /// The object whose aliases name lines by their physical address.
    let physical: ObjectAliases
    let state = Guarded(State())
    /// Tells the recall thread of work. Set once before requests are served.
    private let wakeRecaller: @Sendable () -> Void

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

    // MARK: Recalls

    /// The next pages to recall, for the recall thread.
    func nextRecall() -> RecallJob? {
        state.withLock { state in
            guard let job = state.jobs.popFirst() else { return nil }
            state.isRecalling = true
            return job
        }
    }

    /// The kernel gave the pages back. Those it asked for again meanwhile are recalled once more.
    func finishRecall(_ job: RecallJob) {
        let (ready, repeats): ([Waiter], Bool) = state.withLock { state in
            state.isRecalling = false
            var again: [RecallJob] = []
            for offset in stride(from: job.offset, to: job.offset + job.length, by: Int(Page.size)) {
                if releasePage(offset, of: job) { continue }
                if var last = again.last, last.offset + last.length == offset {
                    last.length += Page.size
                    again[again.count - 1] = last
                } else {
                    again.append(
                        RecallJob(
                            aliases: job.aliases, kind: job.kind, offset: offset, length: Page.size,
                            sequence: job.sequence))
                }
            }
            counters.add(.recallsRepeated, again.count)
            state.jobs.insert(contentsOf: again, at: 0)
            state.doneSequence = state.jobs.first.map { $0.sequence - 1 } ?? state.sequence
            return (grantQueued(&state), !again.isEmpty)
        }
        if repeats { wakeRecaller() }
        run(ready)
    }

    /// Refuses everything that would need a recall from now on, and everything that waits.
    func drain() {
        let waiters = state.withLock { state in
            state.isDraining = true
            let waiters = state.queue
            state.queue = []
            state.jobs = []
            for waiter in waiters { waiter.grant = .failed(.unmounting) }
            return waiters
        }
        run(waiters)
    }

    /// Whether the recall thread is inside the kernel.
    var isRecalling: Bool { state.withLock { $0.isRecalling } }

    // MARK: Internals, called with the lock held

    /// Grants what can be granted, first come, first served. The waiters returned have their grant.
    private func grantQueued(_ state: inout State) -> [Waiter] {
        guard !state.queue.isEmpty else { return [] }
        for waiter in state.queue {
            if case .claim(let claim) = waiter.condition { forEachClaimedLine(claim) { $0.notWanted } }
        }
        var ready: [Waiter] = []
        var waiting: [Waiter] = []
        var modeWasChanged = false
        let before = state.sequence
        for waiter in state.queue {
            if let grant = decide(waiter, &state) {
                waiter.grant = grant
                if case .modeChange = waiter.condition { modeWasChanged = true }
                state.queuedBytes -= waiter.bytes
                if case .claim(let claim) = waiter.condition, case .fill = claim.purpose {
                    state.queuedFills -= 1
                }
                ready.append(waiter)
            } else {
                if case .claim(let claim) = waiter.condition { wantLines(of: claim, &state) }
                waiting.append(waiter)
            }
        }
        state.queue = waiting
        if state.sequence != before { wakeRecaller() }
        // Checked claims that came before the change were held up by it too, and were looked at before it was done.
        return modeWasChanged ? ready + grantQueued(&state) : ready
    }

    private func decide(_ waiter: Waiter, _ state: inout State) -> Grant? {
        switch waiter.condition {
        case .claim(let claim):
            return decide(claim)
        case .modeChange(let aliases, let mode):
            if aliases.modeChange == nil {
                aliases.modeChange = waiter
                recallMismatchingViews(of: aliases, &state)
            }
            guard aliases.modeChange === waiter, aliases.recalledViewLines == 0,
                aliases.checkedOperations == 0
            else { return nil }
            aliases.modeChange = nil
            aliases.object.mode = mode
            return .granted(mode)
        case .recalls(let sequence):
            return state.doneSequence >= sequence ? .granted(.none) : nil
        }
    }

    /// Grants a claim, or returns nil if it has to wait.
    private func decide(_ claim: Claim) -> Grant? {
        let mode = claim.aliases.object.mode
        var isRefill = claim.handsOut
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines {
                let lineState = table[line]
                isRefill = isRefill && lineState.holder == claim.holder && lineState.holder != 0
                guard isFree(lineState, for: claim) else { return nil }
            }
        }
        // A page that its alias holds already is given again at once, whatever waits: the kernel holds its lock.
        if !isRefill {
            if claim.checkedTag != nil, claim.aliases.modeChange != nil { return nil }
            for index in spans.indices where needsCompanions(spans[index], claim) {
                for line in spans[index].companions {
                    let companion = table[line]
                    if spans[index].isTagStorage {
                        if companion.isHeldByView { return nil }
                    } else if companion.hasWriter || companion.isWanted {
                        return nil
                    }
                }
            }
        } else if checksDirectly(claim) {
            // But not while its tags are written, which nothing can hold up.
            for index in spans.indices where !spans[index].isTagStorage {
                for line in spans[index].companions where table[line].hasWriter { return nil }
            }
        }
        if case .fill = claim.purpose, let tag = claim.checkedTag, mode.refusesMismatchingPages,
            let mismatch = firstMismatch(of: tag, claim.footprint)
        {
            return .mismatch(mismatch, mode)
        }
        mark(claim)
        return .granted(mode)
    }

    private func isFree(_ line: LineState, for claim: Claim) -> Bool {
        switch claim.purpose {
        case .fill:
            // Rule: a fill from the alias that holds the page is answered at once, also while it is recalled.
            if line.holder == claim.holder { return true }
            return line.holder == 0 && !line.hasWriter && !line.isWanted
        case .read:
            if line.hasWriter || line.isWanted { return false }
            return line.holder == 0 || line.holder == claim.holder || !mayBeDirty(line, claim)
        case .write:
            return line.holder == 0 && !line.isBusy && !line.isWanted
        case .cachedWrite:
            if line.holder == claim.holder { return !line.isBusy }
            return line.holder == 0 && !line.isBusy && !line.isWanted
        }
    }

    private func mayBeDirty(_ line: LineState, _ claim: Claim) -> Bool {
        claim.aliases.openWriters[Int(line.holder)] > 0
    }

    /// Whether a claim on a span looks at the companions: checks at the tags, changes of tags at the views.
    private func needsCompanions(_ span: LineSpan, _ claim: Claim) -> Bool {
        span.isTagStorage ? claim.isWrite : claim.checkedTag != nil
    }

    private func mark(_ claim: Claim) {
        let spans = claim.footprint.spans
        for index in spans.indices {
            switch claim.purpose {
            case .fill:
                for line in spans[index].lines {
                    let lineState = table[line].held(by: claim.holder)
                    table[line] = lineState.isRecalled ? lineState.refilled : lineState
                }
            case .read:
                for line in spans[index].lines { table[line] = table[line].addingReader }
            case .write:
                for line in spans[index].lines { table[line] = table[line].addingWriter }
            case .cachedWrite:
                for line in spans[index].lines {
                    let lineState = table[line].held(by: claim.holder).addingWriter
                    table[line] = lineState.isRecalled ? lineState.refilled : lineState
                }
            }
            if checksDirectly(claim), !spans[index].isTagStorage {
                for line in spans[index].companions { table[line] = table[line].addingReader }
            }
        }
        if checksDirectly(claim) { claim.aliases.checkedOperations += 1 }
    }

    /// Returns whether a queued operation wants one of the lines.
    private func unmark(_ claim: Claim) -> Bool {
        var isWanted = false
        let spans = claim.footprint.spans
        for index in spans.indices {
            if case .fill = claim.purpose { continue }
            for line in spans[index].lines {
                let lineState = table[line]
                isWanted = isWanted || lineState.isWanted
                table[line] = claim.isWrite ? lineState.removingWriter : lineState.removingReader
            }
            if checksDirectly(claim), !spans[index].isTagStorage {
                for line in spans[index].companions {
                    let lineState = table[line]
                    isWanted = isWanted || lineState.isWanted
                    table[line] = lineState.removingReader
                }
            }
        }
        if checksDirectly(claim) { claim.aliases.checkedOperations -= 1 }
        return isWanted
    }

    /// Fills are checked while they are decided; everything else that checks does so while it copies.
    private func checksDirectly(_ claim: Claim) -> Bool {
        if case .fill = claim.purpose { return false }
        return claim.checkedTag != nil
    }

    private func forEachClaimedLine(_ claim: Claim, _ change: (LineState) -> LineState) {
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines { table[line] = change(table[line]) }
            if needsCompanions(spans[index], claim), !spans[index].isTagStorage {
                for line in spans[index].companions { table[line] = change(table[line]) }
            }
        }
    }

    /// Reserves a waiting claim's place on its lines and recalls what stands in its way.
    private func wantLines(of claim: Claim, _ state: inout State) {
        forEachClaimedLine(claim) { $0.wanted }
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines {
                let lineState = table[line]
                guard lineState.holder != 0 else { continue }
                let stays =
                    claim.purpose == .read
                    && (lineState.holder == claim.holder || !mayBeDirty(lineState, claim))
                if !stays { recall(line, &state) }
            }
            guard spans[index].isTagStorage, claim.isWrite else { continue }
            for line in spans[index].companions where table[line].isHeldByView { recall(line, &state) }
        }
    }

    /// Recalls what the tags refuse of the pages that are handed out through an object's views.
    private func recallMismatchingViews(of aliases: ObjectAliases, _ state: inout State) {
        table.forEachHeldLine { line in
            let kind = AliasKind(rawValue: table[line].holder)
            guard case .view(let tag) = kind, owner(of: line) === aliases else { return }
            let (address, _) = table.location(of: line)
            if dram.firstMismatch(of: tag, at: address, count: Int(Page.size)) != nil { recall(line, &state) }
        }
    }

    /// Takes the pages back that a cached write, which may not wait where its page is held already, left with a view
    /// against the tags: its own, where stores do not fault and loads do, and those whose tags it changed.
    private func recallViews(after claim: Claim, _ state: inout State) {
        guard claim.purpose == .cachedWrite else { return }
        let spans = claim.footprint.spans
        for index in spans.indices where spans[index].isTagStorage {
            for line in spans[index].companions where table[line].isHeldByView { recall(line, &state) }
        }
        guard let tag = claim.checkedTag, claim.aliases.object.mode.refusesMismatchingPages,
            firstMismatch(of: tag, claim.footprint) != nil
        else { return }
        for index in spans.indices {
            for line in spans[index].lines { recall(line, &state) }
        }
    }

    /// The object whose alias holds a line.
    private func owner(of line: Int) -> ObjectAliases { physical }

    /// Asks for a recall of the page of the holder's file that shows `line`, unless it is under way.
    private func recall(_ line: Int, _ state: inout State) {
        let lineState = table[line]
        guard !state.isDraining, !lineState.isRecalled, let kind = AliasKind(rawValue: lineState.holder)
        else { return }
        let aliases = owner(of: line)
        let offset = aliases.pageOffset(of: line, in: kind, table: table)
        let spans = aliases.footprint(of: kind, at: offset, count: Int(Page.size), table: table).spans
        for index in spans.indices {
            for line in spans[index].lines where table[line].holder == kind.rawValue {
                table[line] = table[line].recalled
                if kind.isView { aliases.recalledViewLines += 1 }
            }
        }
        counters.add(.recalls)
        state.sequence += 1
        if var last = state.jobs.last, last.aliases === aliases, last.kind == kind,
            last.offset + last.length == offset
        {
            // One notification for neighbours. The job keeps the older number: what was asked for before this page
            // is done only with it.
            last.length += Page.size
            state.jobs[state.jobs.count - 1] = last
        } else {
            state.jobs.append(
                RecallJob(
                    aliases: aliases, kind: kind, offset: offset, length: Page.size, sequence: state.sequence)
            )
        }
    }

    /// Frees the lines of a recalled page, unless it was handed out again meanwhile. Returns whether it did.
    private func releasePage(_ offset: UInt64, of job: RecallJob) -> Bool {
        let spans = job.aliases.footprint(of: job.kind, at: offset, count: Int(Page.size), table: table).spans
        var wasRefilled = false
        for index in spans.indices {
            for line in spans[index].lines where table[line].isRefilled {
                wasRefilled = true
                table[line] = table[line].notRefilled
            }
        }
        if wasRefilled { return false }
        for index in spans.indices {
            for line in spans[index].lines where table[line].isRecalled {
                table[line] = table[line].released
                if job.kind.isView { job.aliases.recalledViewLines -= 1 }
            }
        }
        return true
    }

    private func firstMismatch(of tag: AddressTag, _ footprint: Footprint) -> PhysicalAddress? {
        for index in footprint.pieces.indices {
            guard case .memory(let address, let count) = footprint.pieces[index] else { continue }
            if let mismatch = dram.firstMismatch(of: tag, at: address, count: count) { return mismatch }
        }
        return nil
    }

    /// Runs operations whose turn has come. Those that this makes ready are run after them, by the thread that runs
    /// already: not one inside the other, however many wait.
    private func run(_ waiters: [Waiter]) {
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

    private func nextReady() -> Waiter? {
        state.withLock { state in
            let waiter = state.ready.popFirst()
            if waiter == nil { state.isRunningReady = false }
            return waiter
        }
    }
}
