import CFuse
import Glibc
import Synchronization

/// Ends a session in an orderly way on SIGINT, SIGTERM and SIGHUP.
///
/// A thread of its own waits for the signals. It first lets recalls that are in the kernel finish, while requests are
/// still served; a recall that nobody answers any more would never return.
@safe
final class Shutdown: @unchecked Sendable {
    private let fileSystem: FileSystem
    private let session: OpaquePointer
    private let loopThread: pthread_t
    private let requested = Atomic(false)

    private static let signals = [SIGINT, SIGTERM, SIGHUP]
    /// Interrupts the loop's wait; it has no other meaning.
    private static let wakeUp = SIGUSR2
    /// How long recalls may take to finish, in milliseconds.
    private static let patience = 2000

    /// To be made on the thread that will run the loop.
    init(fileSystem: FileSystem, session: OpaquePointer) {
        self.fileSystem = fileSystem
        unsafe self.session = unsafe session
        loopThread = pthread_self()
    }

    var wasRequested: Bool { requested.load(ordering: .relaxed) }

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
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        // Without SA_RESTART: the wait is to end.
        unsafe sigaction(wakeUp, &action, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    func start() { startThread("signals") { self.waitForSignal() } }

    private func waitForSignal() {
        var set = Self.signalSet()
        var signal: Int32 = 0
        while unsafe sigwait(&set, &signal) != 0 {}
        requested.store(true, ordering: .relaxed)
        fileSystem.directory.drain()
        fileSystem.faultLog.drain()
        var waited = 0
        while fileSystem.directory.isRecalling, waited < Self.patience {
            usleep(1000)
            waited += 1
        }
        unsafe fuse_session_exit(session)
        pthread_kill(loopThread, Self.wakeUp)
    }
}
