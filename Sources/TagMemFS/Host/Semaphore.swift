import CFuse
import Glibc

/// A POSIX semaphore: what threads that wait for work are woken with.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
final class Semaphore: @unchecked Sendable {
    // SAFETY: initialized in `init` and given up in `deinit`; POSIX lets all threads use it in between.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    /// Never blocks.
    func post() { unsafe sem_post(semaphore) }

    func wait() { while unsafe sem_wait(semaphore) != 0 {} }

    /// Waits for a post, `nanoseconds` at most: of time that passes, whatever is done to the wall clock.
    func wait(atMost nanoseconds: Int) { _ = unsafe cfuse_semaphore_wait(semaphore, nanoseconds) }
}
