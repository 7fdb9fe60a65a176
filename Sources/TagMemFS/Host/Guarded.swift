import Glibc
import Synchronization

/// A value that one thread at a time can use.
///
/// As `Synchronization.Mutex`, but on a POSIX mutex: ThreadSanitizer, which finds a forgotten lock, knows those and
/// not the other.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
struct Guarded<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // SAFETY: both are allocated and initialized in `init` and given up in `deinit`; `value` is used under `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let value: UnsafeMutablePointer<Value>
    /// Threads that wait for the lock.
    private let waiting = Atomic(0)

    init(_ initial: consuming Value) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe value = .allocate(capacity: 1)
        unsafe value.initialize(to: initial)
    }

    deinit {
        unsafe value.deinitialize(count: 1)
        unsafe value.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Calls `body` with the value, which it must not keep. Not recursive.
    @inline(__always)
    borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if unsafe pthread_mutex_trylock(mutex) != 0 { lockAfterWait() }
        defer { unsafe pthread_mutex_unlock(mutex) }
        return unsafe try body(&value.pointee)
    }

    private borrowing func lockAfterWait() {
        waiting.add(1, ordering: .relaxed)
        unsafe pthread_mutex_lock(mutex)
        waiting.subtract(1, ordering: .relaxed)
    }

    /// Lets a thread have the lock that waits for it, for a fraction of a millisecond at most. For a thread that takes the
    /// lock again and again: a mutex is not fair, and it would have it again before another one has woken up.
    borrowing func giveWay() {
        guard waiting.load(ordering: .relaxed) > 0 else { return }
        let end = monotonicNanoseconds() + 200_000
        while waiting.load(ordering: .relaxed) > 0, monotonicNanoseconds() < end { sched_yield() }
    }
}
