/// Those who poll an open file of the fault log: they are woken at every new fault, as long as the file is open.
///
/// The kernel asks once and wakes whoever waits by then: one who waits for edges does not ask again. Wake-ups are said by
/// the thread that says things to the kernel; faults that come before it has are one wake-up. Thread-safe.
final class FaultPoll: FaultWatcher {
    private let log: FaultLog
    private let directory: CoherenceDirectory
    private let state = Guarded(State())

    private struct State {
        var watcher: (any PollWatcher)?
        /// Whether a wake-up is on its way.
        var isNotifying = false
    }

    init(_ log: FaultLog, _ directory: CoherenceDirectory) {
        self.log = log
        self.directory = directory
    }

    /// Somebody polls, and with a watcher wants to be woken. To be called before it is looked whether there is something to
    /// read: a fault in between wakes.
    func begin(_ watcher: (any PollWatcher)?) {
        guard let watcher else { return }
        let old = state.withLock { state in
            defer { state.watcher = watcher }
            return state.watcher
        }
        // The first one; the log knows the watcher otherwise.
        if old == nil { log.watch(self) }
    }

    /// The file is closed.
    func end() {
        log.stopWatching(self)
        _ = state.withLock { state in
            defer { state.watcher = nil }
            return state.watcher
        }
    }

    func faultsWereRecorded() {
        let isFirst = state.withLock { state in
            defer { state.isNotifying = true }
            return !state.isNotifying
        }
        guard isFirst else { return }
        directory.say(.call { self.notify() })
    }

    private func notify() {
        let watcher = state.withLock { state in
            state.isNotifying = false
            return state.watcher
        }
        watcher?.notify()
    }
}
