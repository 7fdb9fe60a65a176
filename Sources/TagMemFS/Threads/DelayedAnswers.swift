/// Answers that are given later, by a thread that does nothing else. Thread-safe.
final class DelayedAnswers: Sendable {
    private struct Answer {
        let time: Int
        let body: @Sendable () -> Void
    }

    private struct State {
        /// The next one last.
        var answers: [Answer] = []
        var isRunning = false
        var thread: DaemonThread?
    }

    private let state = Guarded(State())
    private let bell = Semaphore()

    /// What a wait on the bell takes at most, in nanoseconds.
    private static let longestWait = 500_000_000

    /// Starts the thread. Once.
    func start() {
        state.withLock { $0.isRunning = true }
        let thread = DaemonThread("answers") { [self] in while waitAndGive() {} }
        state.withLock { $0.thread = thread }
    }

    /// Gives all answers that are left, and ends the thread. From now on answers are given at once.
    func stop() {
        let (thread, answers) = state.withLock { state in
            defer {
                state.isRunning = false
                state.thread = nil
                state.answers = []
            }
            return (state.thread, state.answers)
        }
        bell.post()
        thread?.join()
        for answer in answers.reversed() { answer.body() }
    }

    /// Calls `body` after so many nanoseconds; at once if there is no thread for it.
    func give(after delay: Int, _ body: @escaping @Sendable () -> Void) {
        if !schedule(after: delay, body) { body() }
    }

    /// Has `body` called after so many nanoseconds, or at the end. Returns false, and does not, if there is no thread for it.
    func schedule(after delay: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
        let answer = Answer(time: monotonicNanoseconds() + delay, body: body)
        let isKept = state.withLock { state in
            guard state.isRunning else { return false }
            let index = state.answers.lastIndex { $0.time >= answer.time }.map { $0 + 1 } ?? 0
            state.answers.insert(answer, at: index)
            return true
        }
        if isKept { bell.post() }
        return isKept
    }

    /// Gives what is due, and waits for the next. Returns false at the end.
    private func waitAndGive() -> Bool {
        let now = monotonicNanoseconds()
        enum Next { case end, wait, waitUntil(Int), give(Answer) }
        let next: Next = state.withLock { state in
            guard state.isRunning else { return .end }
            guard let first = state.answers.last else { return .wait }
            if first.time > now { return .waitUntil(first.time) }
            return .give(state.answers.removeLast())
        }
        switch next {
        case .end: return false
        case .wait: bell.wait()
        case .waitUntil(let time): bell.wait(atMost: min(time - now, Self.longestWait))
        case .give(let answer): answer.body()
        }
        return true
    }
}
