import CFuse

/// Those who poll an open file of the fault log: they are woken at every new fault, as long as the file is open.
///
/// The kernel asks once and wakes whoever waits by then: one who waits for edges does not ask again. Wake-ups are said by
/// the thread that says things to the kernel; faults that come before it has are one wake-up. Thread-safe.
final class FaultPoll: FaultWatcher {
    private let log: FaultLog
    private let directory: CoherenceDirectory
    private let state = Guarded(State())

    private struct State {
        var handle: PollHandle?
        /// Whether a wake-up is on its way.
        var isNotifying = false
    }

    init(_ log: FaultLog, _ directory: CoherenceDirectory) {
        self.log = log
        self.directory = directory
    }

    /// Somebody polls, and with a handle wants to be woken. To be called before it is looked whether there is something to
    /// read: a fault in between wakes.
    func begin(_ handle: OpaquePointer?) {
        guard let handle = unsafe handle else { return }
        let new = unsafe PollHandle(handle)
        let old = state.withLock { state in
            defer { state.handle = new }
            return state.handle
        }
        // The first one; the log knows the watcher otherwise.
        if old == nil { log.watch(self) }
    }

    /// The file is closed.
    func end() {
        log.stopWatching(self)
        _ = state.withLock { state in
            defer { state.handle = nil }
            return state.handle
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
        let handle = state.withLock { state in
            state.isNotifying = false
            return state.handle
        }
        handle?.notify()
    }
}

/// The kernel's handle of those who poll a file.
@safe
private final class PollHandle: @unchecked Sendable {
    // SAFETY: libfuse's, owned by this object alone; constant until `deinit`.
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { unsafe self.handle = unsafe handle }

    deinit { unsafe fuse_pollhandle_destroy(handle) }

    /// Wakes who waits; the handle stays good. The kernel does not block for it, and forgets files that are closed.
    func notify() { unsafe fuse_lowlevel_notify_poll(handle) }
}
