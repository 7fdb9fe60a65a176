import Testing

@testable import TagMemFS

@Suite("Semaphore") struct SemaphoreTests {
    @Test("a timed wait ends with a post or the time, whichever comes first") func timedWait() {
        let semaphore = Semaphore()
        semaphore.post()
        let start = monotonicNanoseconds()
        semaphore.wait(atMost: 60_000_000_000)
        #expect(monotonicNanoseconds() - start < 10_000_000_000)
        let second = monotonicNanoseconds()
        semaphore.wait(atMost: 1_100_000_000)
        #expect(monotonicNanoseconds() - second >= 1_100_000_000)
    }
}
