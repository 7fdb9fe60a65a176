import Glibc

/// A POSIX semaphore: what threads that wait for work are woken with.
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

    /// Waits for a post, `nanoseconds` (below a second) at most.
    func wait(atMost nanoseconds: Int) {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        time.tv_nsec += nanoseconds
        if time.tv_nsec >= 1_000_000_000 {
            time.tv_nsec -= 1_000_000_000
            time.tv_sec += 1
        }
        while unsafe sem_timedwait(semaphore, &time) != 0, errno == EINTR {}
    }
}
