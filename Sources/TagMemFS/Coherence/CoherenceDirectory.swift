import TagMemCore

/// Keeps the aliases of memory coherent: a page of memory is cached by the kernel through at most one alias.
///
/// Every access to memory claims the lines that it touches before it copies, and is ended afterwards. One that conflicts
/// waits, first come, first served, while the pages that stand in its way are recalled from the kernel. Nobody waits on a
/// thread that serves requests: those decide and answer, and leave the rest to the threads that `wake` tells of it.
///
/// The rules, with their reasons, are in Documentation/DESIGN.md, "Coherence". What holds at any time:
///
/// - The lines that one page of an alias's file shows are held by that alias all or not at all, so a recall of a page
///   never meets a queued fill of the same page, which would hold the page's lock in the kernel.
/// - A line with a writer is held by nobody, but by the alias that writes through the page cache. A line that is
///   recalled has a holder.
/// - Write-backs wait for nothing: they are served at once, always.
///
/// Lock order: the state's lock is a leaf; nothing is called with it held but the model.
final class CoherenceDirectory: Sendable {
    let dram: DRAM
    let map: LineMap
    let layout: BlockLayout
    let counters: Counters
    private let state: Guarded<MemoryState>
    /// Tells threads of work.
    private let wake: @Sendable (Work) -> Void

    /// - Throws: `DRAMError` if the process cannot have the address space.
    init(
        physical: MemoryObject, pages: consuming PageStore, counters: Counters,
        wake: @escaping @Sendable (Work) -> Void
    ) throws(DRAMError) {
        dram = physical.dram
        layout = pages.layout
        let state = try MemoryState(physical: physical, pages: pages, counters: counters)
        map = state.map
        self.counters = counters
        self.wake = wake
        self.state = Guarded(state)
    }

    /// Does something with the state, under the lock; then lets those go on whose turn this made come, and without the
    /// lock tells the threads that have something to do. `own` is what the calling thread will do itself.
    func update<Result>(doing own: Work = [], _ body: (inout MemoryState) -> Result) -> Result {
        let (result, work): (Result, Work) = state.withLock { state in
            let result = body(&state)
            state.settle()
            if !state.ready.isEmpty { state.work.insert(.ready) }
            defer { state.work = [] }
            return (result, state.work)
        }
        let others = work.subtracting(own)
        if !others.isEmpty { wake(others) }
        return result
    }

    /// Does something with the state that changes nothing others wait for.
    func look<Result>(_ body: (inout MemoryState) -> Result) -> Result { state.withLock { body(&$0) } }

    /// Lets a thread have the lock that waits for it: called between two holds by one that takes it again and again.
    func giveWay() { state.giveWay() }

    // MARK: Accesses

    /// Resolves an access and claims its lines, or gives it a place in the queue, where it is resolved anew.
    ///
    /// Non-blocking. Linear in the lines of the access: about a nanosecond a line.
    func begin(_ access: inout MemoryAccess) -> Admission {
        enum Outcome { case admission(Admission), pages(WaitTicket, JobTask) }
        let outcome: Outcome = update { state in
            let obstacle: MemoryState.Obstacle
            switch state.decide(&access) {
            case .decided(let grant): return .admission(.decided(grant))
            case .blocked(let found): obstacle = found
            }
            if state.isDraining { return .admission(.decided(.failed(.unmounting))) }
            if case .fill(let pages) = access.purpose, pages > 1 {
                return .admission(.decided(.failed(.readaheadRefused)))
            }
            guard state.waits.hasRoom(for: access) else {
                return .admission(.decided(.failed(.overloaded)))
            }
            if case .pages(let demand) = obstacle, demand.pages.count <= JobTask.pagesPerStep {
                let (ticket, job) = state.enqueue(access, for: demand)
                return .pages(ticket, job)
            }
            return .admission(.queued(state.enqueue(access, obstacle).ticket))
        }
        switch outcome {
        case .admission(let admission): return admission
        case .pages(let ticket, let job): return getPages(for: ticket, job, &access)
        }
    }

    /// Gets the pages of an access here and now, as two changes of threads take longer than most of it: up to where
    /// something is in the way.
    private func getPages(
        for ticket: WaitTicket, _ job: JobTask, _ access: inout MemoryAccess
    ) -> Admission {
        steps: while true {
            switch update({ $0.advance(job) }) {
            case .again: continue
            case .outside(let body): body()
            case .over: break steps
            }
        }
        guard let (grant, decided) = look({ $0.takeGrant(ticket) }) else {
            counters.add(.requestsQueued)
            return .queued(ticket)
        }
        access = decided
        return .decided(grant)
    }

    /// Leaves `operation` to be run when the turn of the access that waits with this ticket comes; runs it now if it has
    /// come already.
    func wait(_ ticket: WaitTicket, _ operation: any DeferredOperation) {
        if let (grant, access) = look({ $0.wait(ticket, operation) }) { operation.run(grant, access) }
    }

    /// Ends a granted access: its lines are free for others. Of a write, part may have been refused. Returns whether the
    /// kernel knows of all attributes that have changed; else a write is answered by `whenTold`.
    @discardableResult
    func end(_ access: MemoryAccess, isWhole: Bool = true) -> Bool {
        update { state in
            state.unmark(access)
            state.noteContent(of: access)
            state.noteEnd(of: access, isRefused: !isWhole)
            state.recallViews(after: access)
            return state.untoldAttributes == 0
        }
    }

    /// Ends an access that was granted and refused then. What the kernel did not have before, it has not now.
    func endRefused(_ access: MemoryAccess) {
        update { state in
            state.unmark(access)
            state.noteEnd(of: access, isRefused: true)
        }
    }

    /// Claims the memory of a page that comes back, which cannot wait. To be ended.
    func beginWriteback(
        _ alias: Alias, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
    ) -> MemoryAccess {
        look { state in
            var access = MemoryAccess(.writeback, alias, at: offset, count: bytes.count)
            state.resolve(&access)
            access.mode = state.objects[alias.object].memory.mode
            state.judge(&access)
            unsafe state.leaveOutReplaced(&access, bytes)
            state.mark(access)
            return access
        }
    }

    /// Whether the kernel asked for the page of a cached write, and was given it, after it had sent the write.
    func wasFilled(after write: MemoryAccess) -> Bool {
        look { state in
            guard let kind = write.alias.kind else { return false }
            return state.objects[write.alias.object].cached.wasFilled(
                Page.start(write.offset), of: kind, after: write.number)
        }
    }

    /// The kernel has nothing to show of the page of a cached write, which is about to be done.
    func noteUnseen(_ write: MemoryAccess) { look { $0.noteUnseen(write) } }

    /// Whether a write that was refused is done all the same: its page came back with its bytes, see `CachedFiles`.
    func hasComeBack(_ access: MemoryAccess, _ bytes: UnsafeRawBufferPointer) -> Bool {
        look { state in unsafe state.hasComeBack(access, bytes) }
    }

    /// Takes pages of these data lines away from views: their tags changed through a mapping.
    func recallViews(of dataLines: [Int]) {
        guard !dataLines.isEmpty else { return }
        update { state in
            for line in dataLines where state.lines[line].isHeldByView { state.recall(line) }
        }
    }

    /// Runs `completion` when all recalls from views that have been asked for are done.
    func afterRecalls(_ completion: any Completion) {
        update { state in
            if state.isDraining {
                state.ready.append(.done(completion, .unmounting))
            } else if state.recalls[.free].doneSequence == state.recalls[.free].sequence {
                state.ready.append(.done(completion, nil))
            } else {
                state.jobs.afterRecalls.append((state.recalls[.free].sequence, completion))
            }
        }
    }

    /// Refuses fills when so many wait already. They may be background requests, of which the kernel has a limited
    /// number, and write-backs, which they wait for, need one of those.
    func limitQueuedFills(to count: Int) { look { $0.waits.maximumFills = count } }

    // MARK: Changes

    /// Has a job done on the thread of jobs.
    func start(_ job: some PageJob, then completion: any Completion) {
        update { state in
            if state.isDraining {
                state.ready.append(.done(completion, .unmounting))
            } else {
                state.start(job, then: .completion(completion))
            }
        }
    }

    // MARK: What threads do

    /// The next pages to recall, for a recall thread.
    func nextRecall(_ lane: RecallLane = .free) -> RecallJob? { look { $0.nextRecall(lane) } }

    /// The kernel gave back what the lane's thread was asked to recall. The thread runs what it made ready, a few
    /// operations at most, as waking another one takes longer than that.
    func finishRecall(_ lane: RecallLane = .free) {
        update(doing: .ready) { $0.finishRecall(lane) }
        runReady(atMost: Self.readyAfterRecall)
    }

    private static let readyAfterRecall = 16

    /// Runs operations whose turn has come. Others may run some at the same time. Wakes the thread for the rest.
    func runReady(atMost limit: Int = .max) {
        for _ in 0..<limit {
            guard let operation = look({ $0.ready.popFirst() }) else { return }
            operation.run()
        }
        if look({ !$0.ready.isEmpty }) { wake(.ready) }
    }

    /// Has something run by the thread of what is ready.
    func makeReady(_ completion: any Completion) { update { $0.ready.append(.done(completion, nil)) } }

    /// Does a step of the job whose turn it is. Returns whether there was one.
    @discardableResult
    func stepJob() -> Bool {
        enum Outcome { case none, stepped, outside(JobTask, @Sendable () -> Void) }
        let outcome: Outcome = update(doing: .jobs) { state in
            guard let task = state.jobs.ready.popFirst() else { return .none }
            return state.step(task).map { .outside(task, $0) } ?? .stepped
        }
        switch outcome {
        case .none: return false
        case .stepped: return true
        case .outside(let task, let body):
            body()
            update(doing: .jobs) { $0.goOn(task) }
            return true
        }
    }

    var hasReadyJobs: Bool { look { !$0.jobs.ready.isEmpty } }

    /// The next to be said to the kernel.
    func nextNotice() -> Notice? { look { $0.notices.popFirst() } }

    /// The next to be dropped by the kernel.
    func nextStray() -> StrayPage? { look { $0.strays.popFirst() } }

    /// A notice that says that all before it is said.
    func tell(_ end: JobEnd, _ error: FileError?) { update { $0.tell(end, error) } }

    /// Has something said to the kernel.
    func say(_ notice: Notice) {
        update { state in
            state.notices.append(notice)
            state.work.insert(.notices)
        }
    }

    // MARK: The end

    /// Refuses everything that would need a recall from now on, and everything that waits. Jobs end at their next step.
    func drain() {
        update { state in
            state.isDraining = true
            for lane in RecallLane.allCases { state.recalls[lane].jobs = [] }
            state.refuseWaiters()
            state.refuseJobs()
        }
    }

    /// Whether a recall thread is inside the kernel.
    var isRecalling: Bool { look { $0.recalls.isRecalling } }
}
