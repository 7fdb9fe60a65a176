import Glibc

/// Ends a session in an orderly way on SIGINT, SIGTERM and SIGHUP.
///
/// A thread of its own waits for the signals. It lets all that waits be answered, and the file system's threads end,
/// while requests are still served: a recall that nobody answers any more would never return.
final class Shutdown: Sendable {
    private let fileSystem: FileSystem
    private let transport: any Transport
    private let requested = Flag()
    private let isEnding = Flag()
    private let thread = Guarded<DaemonThread?>(nil)

    private static let signals = [SIGINT, SIGTERM, SIGHUP]

    /// Begins to wait for the signals, which `blockSignals` has blocked.
    init(fileSystem: FileSystem, transport: any Transport) {
        self.fileSystem = fileSystem
        self.transport = transport
        let thread = DaemonThread("signals") { self.waitForSignal() }
        self.thread.withLock { $0 = thread }
    }

    var wasRequested: Bool { requested.isSet }

    /// Waits until the thread has ended. Once, when nothing is served any more.
    func end() {
        isEnding.set()
        guard let thread = thread.withLock({ $0.take() }) else { return }
        thread.interrupt(by: SIGTERM)
        thread.join()
    }

    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }

    /// Blocks the signals in this thread and in those that it starts.
    static func blockSignals() {
        var set = signalSet()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    private func waitForSignal() {
        var set = Self.signalSet()
        var signal: Int32 = 0
        while unsafe sigwait(&set, &signal) != 0 {}
        if isEnding.isSet { return }
        requested.set()
        fileSystem.stop(orElse: transport.abort)
        transport.endServing()
    }
}
