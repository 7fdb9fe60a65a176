import TagMemCore

/// Runs the jobs on objects' pages, and compacts while nobody asks for anything.
final class BackgroundWork: Sendable {
    private let directory: CoherenceDirectory
    private let wake: @Sendable () -> Void
    private let state = Guarded(State())

    private struct State {
        var compacts = true
        /// Whether a job of the background is under way.
        var isBusy = false
        /// How often the background looked since it last did something, and the requests that there had been then.
        var looks = 0
        var requests = 0
    }

    /// How often the background looks whether it has something to do, in nanoseconds; and how many requests there are
    /// between two looks if the device counts as idle.
    private static let period = 20_000_000
    private static let idleRequests = 8
    /// Looks between two steps that are done although the device is not idle.
    private static let patience = 5

    init(_ directory: CoherenceDirectory, wake: @escaping @Sendable () -> Void) {
        self.directory = directory
        self.wake = wake
    }

    /// Whether compaction goes on by itself.
    var compacts: Bool {
        get { state.withLock { $0.compacts } }
        set {
            state.withLock { $0.compacts = newValue }
            wake()
        }
    }

    /// Something has changed that may have made work for the background.
    func wakeIfNeeded() { if hasWork { wake() } }

    /// Whether there is something that the background could do.
    private var hasWork: Bool {
        state.withLock { $0.compacts && !$0.isBusy } && directory.withPages { $0.hasBackgroundWork }
    }

    /// Waits for a job, or while the background has something to do, for its next look.
    func waitForWork(_ bell: Semaphore) {
        if directory.hasReadyJobs { return }
        if hasWork { bell.wait(atMost: Self.period) } else { bell.wait() }
    }

    /// Does the jobs that there are, then looks whether the background has something to do.
    func work() {
        var didSomething = false
        while directory.stepJob() {
            didSomething = true
            directory.giveWay()
        }
        guard !didSomething, hasWork else { return }
        let requests = directory.counters[.requests]
        let isTurn = state.withLock { state in
            state.looks += 1
            let isIdle = requests - state.requests < Self.idleRequests
            state.requests = requests
            guard isIdle || state.looks >= Self.patience else { return false }
            state.looks = 0
            state.isBusy = true
            return true
        }
        guard isTurn else { return }
        directory.counters.add(.backgroundWakes)
        let counters = directory.counters
        directory.start(
            BackgroundJob { counters[.requests] - requests >= Self.idleRequests }, then: BackgroundDone(self))
    }

    fileprivate func isDone() {
        state.withLock { $0.isBusy = false }
        wakeIfNeeded()
    }
}

private final class BackgroundDone: Completion {
    private let background: BackgroundWork
    init(_ background: BackgroundWork) { self.background = background }
    func run(_ error: FileError?) { background.isDone() }
}
