import TagMemCore

/// Work on the pages of objects that is done in steps, each of them short and under the directory's lock.
///
/// A step that finds something in its way names it, and the job waits in the directory's queue without holding up any
/// thread. Jobs do not queue up behind operations on memory that wait for their lines: a size change must not wait for
/// one that waits for a recall of the inode whose size it is (see `RecallLane`).
class PageJob: DeferredOperation, @unchecked Sendable {
    enum Step {
        /// There is more to do.
        case again
        /// Something to be done without the lock, on lines that the job has claimed, before the next step.
        case outside(() -> Void)
        case blocked(Obstacle)
        /// `nil` for success. The job has no further step.
        case finished(FileError?)
    }

    /// What a job waits for.
    enum Obstacle {
        /// Lines that are copied, or that are being recalled.
        case lines([Int])
        /// Pages that are being released, as long as none was since `releases` counted that many.
        case releases(UInt64)
        /// Another job that changes the object.
        case reshaping(ObjectAliases)
        /// Recalls of the free lane, up to this one.
        case recalls(upTo: UInt64)
        /// Recalls of pages that an object has lost.
        case ticket(ReleaseTicket)
    }

    /// Set while the job waits.
    var obstacle: Obstacle?
    /// The step that was done when the wait ended.
    var doneStep: Step?
    /// Whether somebody who wants pages was held up, by pages that had to move or to be waited for.
    var isStalled = false

    private let start = monotonicNanoseconds()

    private unowned let worker: PageWorker
    private let operation: any DeferredOperation

    /// `operation` is run with `.granted` or `.failed` when the job is done.
    init(_ worker: PageWorker, then operation: any DeferredOperation) {
        self.worker = worker
        self.operation = operation
    }

    func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        .finished(nil)
    }

    /// The wait is over.
    final func run(_ grant: Grant) {
        if case .failed(let error) = grant { complete(error) } else { worker.run(self) }
    }

    final func complete(_ error: FileError?) {
        if isStalled { worker.countStall(nanoseconds: monotonicNanoseconds() - start) }
        operation.run(error.map { .failed($0) } ?? .granted(.none))
    }

    /// Lines that later operations are to leave to this job.
    final var wantedLines: [Int] {
        if case .lines(let lines) = obstacle { lines } else { [] }
    }

    // MARK: For steps

    /// How many pages a step looks at, and how many it moves.
    static let pagesPerStep = 512
    static let movesPerStep = 32

    /// Makes this job the one that changes the object; nil if it is, otherwise what to wait for.
    final func reshape(_ aliases: ObjectAliases) -> Step? {
        if let other = aliases.reshaper, other !== self { return .blocked(.reshaping(aliases)) }
        aliases.reshaper = self
        return nil
    }

    final func finish(
        _ aliases: ObjectAliases, _ state: inout CoherenceDirectory.State, _ error: FileError? = nil
    ) -> Step {
        aliases.reshaper = nil
        aliases.version += 1
        state.needsReview = true
        return .finished(error)
    }

    /// Waits for lines, and recalls those of them that `phys` has cached.
    final func wait(
        for lines: [Int], _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        for line in lines where directory.table[line].isHeldByPhysical { directory.recall(line, &state) }
        return .blocked(.lines(lines))
    }
}

extension CoherenceDirectory {
    /// Does the next step of a job that waits, if nothing is in its way. Returns whether the wait is over.
    func resume(_ job: PageJob, _ state: inout State) -> Bool {
        while isPassable(job.obstacle, state) {
            let step = job.step(self, &state)
            guard case .blocked(let obstacle) = step else {
                job.obstacle = nil
                job.doneStep = step
                return true
            }
            job.obstacle = obstacle
            // What it waits for now may have come to be already, and then nobody would say so. Lines are looked at again
            // when somebody is done with them.
            if case .lines = obstacle { return false }
        }
        return false
    }

    private func isPassable(_ obstacle: PageJob.Obstacle?, _ state: borrowing State) -> Bool {
        switch obstacle {
        // A recall of an object's `mem` may wait for a size change, which may be what the job is to answer: a job that
        // needs such a line to be back looks at it again.
        case .lines(let lines):
            !lines.contains { line in
                let state = table[line]
                return state.isBusy || state.isRecalled && !(state.isHeldByObject && state.holderKind == .mem)
            }
        case .releases(let count): state.releases != count || state.pendingReleases == 0
        case .reshaping(let aliases): aliases.reshaper == nil
        case .recalls(let sequence): state[.free].doneSequence >= sequence
        case .ticket(let ticket): ticket.outstanding == 0
        case nil: true
        }
    }

    /// Does the next step of a job, or takes the one that was done; nil if it now waits in the queue.
    func advance(_ job: PageJob) -> PageJob.Step? {
        update { state in
            if let step = job.doneStep {
                job.doneStep = nil
                return step
            }
            if state.isDraining { return .finished(.unmounting) }
            let step = job.step(self, &state)
            guard case .blocked(let obstacle) = step else { return step }
            job.obstacle = obstacle
            let waiter = Waiter(.job(job))
            waiter.operation = job
            wantLines(of: job, &state)
            state.queue.append(waiter)
            // What it waits for may have come to be already.
            state.needsReview = true
            return nil
        }
    }

    func wantLines(of job: PageJob, _ state: inout State) {
        for line in job.wantedLines { table[line] = table[line].wanted }
    }
}
