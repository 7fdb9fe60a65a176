import Dispatch
import Glibc
import Synchronization

/// Something that runs beside the test, in a thread of its own.
final class Worker: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private let failure = Mutex<(any Error)?>(nil)

    init(_ body: @escaping @Sendable () throws -> Void) {
        DispatchQueue(label: "worker").async { [self] in
            do {
                try body()
            } catch {
                failure.withLock { $0 = error }
            }
            done.signal()
        }
    }

    /// Waits for its end, and throws what it threw; ETIMEDOUT if there is no end.
    func join(within seconds: Double = 60) throws {
        guard done.wait(timeout: .now() + seconds) == .success else { throw Errno(ETIMEDOUT) }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
