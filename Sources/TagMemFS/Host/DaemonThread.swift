import CFuse
import Glibc

/// A thread of the daemon, which runs from its making until its body returns.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
final class DaemonThread: @unchecked Sendable {
    // SAFETY: written in `init` alone, and joined once, by whoever takes the flag.
    private var thread = pthread_t()
    private let isJoined = Flag()

    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let context = unsafe Unmanaged.passRetained(ThreadContext(name: name, body: body))
        let result = unsafe pthread_create(
            &thread, nil,
            { data in
                guard let data = unsafe data else { return nil }
                let context = unsafe Unmanaged<ThreadContext>.fromOpaque(data).takeRetainedValue()
                unsafe cfuse_name_thread(context.name)
                context.body()
                return nil
            }, unsafe context.toOpaque())
        precondition(result == 0, "no thread for \(name): \(errorText(result))")
    }

    /// Sends a signal to the thread, which is not joined yet.
    func interrupt(by signal: Int32) { pthread_kill(thread, signal) }

    /// Waits until the thread has ended. To be called once.
    func join() {
        precondition(isJoined.set(), "a thread is joined once")
        pthread_join(thread, nil)
    }

    /// Leaves the thread to itself, instead of joining it.
    func detach() {
        precondition(isJoined.set(), "a thread that is joined cannot be left to itself")
        pthread_detach(thread)
    }
}

private final class ThreadContext: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

/// Starts a thread that nobody waits for: it runs as long as the process, or until `body` returns.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    DaemonThread(name, body).detach()
}
