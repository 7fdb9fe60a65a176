import DequeModule
import TagMemCore

/// Runs the jobs on objects' pages: short ones on the thread that asks, long ones on a thread of its own, which also
/// compacts while nobody asks for anything.
final class PageWorker: @unchecked Sendable {
    private let semaphore = Semaphore()
    let directory: CoherenceDirectory
    private let jobs = Guarded<Deque<PageJob>>([])
    private let settings = Guarded(Settings())

    private struct Settings {
        var compacts = true
        /// Whether a job for the background is under way.
        var isBusy = false
    }

    /// Steps that the asking thread does itself. Set once before requests are served: by tests, which do them one by one.
    var ownSteps = 16
    /// Steps of a long job before it is the next one's turn.
    private static let turn = 64
    /// How often the background looks whether it has something to do, in nanoseconds; and how many requests there are
    /// between two looks if the device counts as idle.
    private static let period = 20_000_000
    private static let idleRequests = 8
    /// Looks between two steps that are done although the device is not idle.
    private static let patience = 5

    init(_ directory: CoherenceDirectory) { self.directory = directory }

    // MARK: Jobs

    /// Does steps of a job, on this thread while they are few.
    func run(_ job: PageJob) { run(job, steps: ownSteps) }

    /// Goes on with the job whose turn it is, if there is one. Returns whether there was.
    func runNext(steps: Int) -> Bool {
        guard let job = jobs.withLock({ $0.popFirst() }) else { return false }
        run(job, steps: steps)
        return true
    }

    /// Whether a job is to be gone on with.
    var hasJobs: Bool { jobs.withLock { !$0.isEmpty } }

    private func run(_ job: PageJob, steps: Int) {
        for _ in 0..<steps {
            switch directory.advance(job) {
            case .again: continue
            case .outside(let work): work()
            case .finished(let error):
                job.complete(error)
                return wakeForBackground()
            case .blocked, nil: return
            }
        }
        jobs.withLock { $0.append(job) }
        semaphore.post()
    }

    func countStall(nanoseconds: Int) {
        directory.counters.add(.stalls)
        directory.counters.add(.stallMicroseconds, nanoseconds / 1000)
    }

    // MARK: The background

    /// Whether compaction goes on by itself.
    var compacts: Bool {
        get { settings.withLock { $0.compacts } }
        set {
            settings.withLock { $0.compacts = newValue }
            semaphore.post()
        }
    }

    /// Whether there is something that the background could do.
    private var hasBackgroundWork: Bool {
        let compacts = settings.withLock { $0.compacts && !$0.isBusy }
        return compacts
            && directory.withPages { !$0.allocator.isCompact || $0.allocator.needsRefill && $0.canRefill }
    }

    /// Something has changed that may have made work for the background.
    func wakeForBackground() {
        if hasBackgroundWork { semaphore.post() }
    }

    /// Starts the thread. Once.
    func start() {
        startThread("pages") { [self] in
            var looks = 0
            var lastRequests = 0
            while true {
                waitForWork()
                if runNext(steps: Self.turn) { continue }
                guard hasBackgroundWork else { continue }
                let requests = directory.counters[.requests]
                looks += 1
                if requests - lastRequests < Self.idleRequests || looks >= Self.patience {
                    looks = 0
                    doBackgroundWork(whileRequests: requests)
                }
                lastRequests = requests
            }
        }
    }

    /// Waits for a job, or while the background has something to do, for its next look.
    private func waitForWork() {
        if hasBackgroundWork { semaphore.wait(atMost: Self.period) } else { semaphore.wait() }
    }

    /// Compacts step by step until there is nothing to do or somebody asks for something.
    private func doBackgroundWork(whileRequests requests: Int) {
        settings.withLock { $0.isBusy = true }
        let job = BackgroundJob(self, then: BackgroundDone(self)) { [directory] in
            directory.counters[.requests] - requests >= Self.idleRequests
        }
        directory.counters.add(.backgroundWakes)
        run(job, steps: .max)
    }

    fileprivate func backgroundIsDone() {
        settings.withLock { $0.isBusy = false }
        wakeForBackground()
    }
}

/// Compaction and the refill of the reserves, until somebody asks for something.
private final class BackgroundJob: PageJob, @unchecked Sendable {
    private let isInterrupted: () -> Bool

    init(
        _ worker: PageWorker, then operation: any DeferredOperation, until isInterrupted: @escaping () -> Bool
    ) {
        self.isInterrupted = isInterrupted
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        let pages = directory.pages
        if pages.allocator.needsRefill, pages.canRefill {
            switch refill(Self.movesPerStep, directory, &state) {
            case .finished: pages.refillFailed = pages.allocator.counters.frees
            case let step?: return step
            case nil: break
            }
        } else if let step = compact(directory, &state) {
            return step
        }
        let isDone = pages.allocator.isCompact && !(pages.allocator.needsRefill && pages.canRefill)
        return isDone || isInterrupted() ? .finished(nil) : .again
    }
}

private final class BackgroundDone: DeferredOperation, @unchecked Sendable {
    private let worker: PageWorker
    init(_ worker: PageWorker) { self.worker = worker }
    func run(_ grant: Grant) { worker.backgroundIsDone() }
}
