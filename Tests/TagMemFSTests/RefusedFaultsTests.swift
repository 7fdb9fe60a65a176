import Glibc
import TagMemCore
import Testing

@testable import TagMemFS

@Suite("RefusedFaults") struct RefusedFaultsTests {
    let refused: RefusedFaults
    let host = Host()

    /// Time, which passes when the tests say so, and what was counted.
    final class Host: Sendable {
        let time = Guarded(0)
        /// A thread that waits in a fault.
        let waiting = Guarded<Int32>(0)
        let counted = Guarded<[TagCheckFault]>([])
        let due = Guarded<[@Sendable () -> Void]>([])

        /// Lets time pass, and all that is due be done.
        func pass(_ time: Int) {
            self.time.withLock { $0 += time }
            let due = due.withLock { due in
                defer { due = [] }
                return due
            }
            for body in due { body() }
        }
    }
    let node = NodeID(object: 1, role: .view(AddressTag(truncating: 3)))

    init() {
        refused = RefusedFaults(
            later: { [host] _, body in
                host.due.withLock { $0.append(body) }
                return true
            },
            record: { [host] fault in host.counted.withLock { $0.append(fault) } },
            now: { [host] in host.time.withLock { $0 } },
            isInFault: { [host] thread in host.waiting.withLock { $0 } == thread })
    }

    private static func fault(_ offset: UInt64, thread: Int32) -> TagCheckFault {
        TagCheckFault(
            mode: .sync, access: .map, object: "phys", view: "3", offset: offset, size: 4096,
            addressTag: AddressTag(truncating: 3), allocationTag: AllocationTag(truncating: 5),
            client: Client(pid: thread, command: ""))
    }

    /// A read of a page is refused to a thread that touched it itself, unless something else is said.
    private func verdict(
        thread: Int32 = 1, of file: NodeID? = nil, offset: UInt64 = 0, isInSystemCall: Bool? = false
    ) -> Refusal.Verdict {
        let before = host.counted.withLock { $0.count }
        let delay = refused.pageWasRefused(
            thread: thread, node: file ?? node, offset: offset, isInSystemCall: { _ in isInSystemCall }
        ) {
            Self.fault(offset, thread: thread)
        }
        return Refusal.Verdict(isNew: host.counted.withLock { $0.count } > before, delay: delay)
    }

    /// The reads of one page that are faults of their own.
    private func newFaults(_ count: Int, thread: Int32 = 1, offset: UInt64 = 0) -> Int {
        (0..<count).count { _ in verdict(thread: thread, offset: offset).isNew }
    }

    /// A refused batch of readahead, which comes before the reads of one of its pages.
    private func batch(thread: Int32 = 1) {
        refused.batchWasRefused(thread: thread, node: node, offset: 0, count: 1 << 17)
    }

    @Test("one access is one fault: two reads after a batch, or three")
    func oneAccess() {
        #expect(newFaults(3) == 1)
        refused.forget(thread: 1)
        batch()
        #expect(newFaults(2) == 1)
    }

    @Test("a batch and its two reads, then three reads for each access: all are counted")
    func repeatedAccesses() {
        batch()
        var count = newFaults(2)
        #expect(count == 1)
        for access in 2...20 {
            count += newFaults(3)
            #expect(count == access)
        }
    }

    @Test("without readahead the first access is two reads: none of those that follow is missed")
    func withoutReadahead() {
        var count = newFaults(2)
        for _ in 2...20 { count += newFaults(3) }
        #expect(count == 20)
    }

    @Test("a batch elsewhere says nothing of a page")
    func otherBatch() {
        batch()
        #expect(newFaults(3, offset: 1 << 17) == 1)
        batch(thread: 2)
        #expect(newFaults(3, offset: 0) == 1)
    }

    @Test("a page that is read once was read ahead, and is no fault") func singlePageAhead() {
        #expect(newFaults(1, offset: 8192) == 0)
        #expect(newFaults(3) == 1)
        #expect(newFaults(1, offset: 8192) == 0)
        batch()
        #expect(newFaults(2) == 1)
        // Touched at last.
        #expect(newFaults(3, offset: 8192) == 1)
    }

    @Test("a page that is read once is a fault if the thread asks for nothing else at once")
    func loneReads() {
        for thread in Int32(1)...100 {
            // As many as are remembered at once are in doubt: one more, and the oldest is counted.
            #expect(newFaults(1, thread: thread, offset: UInt64(thread) * 4096) == (thread > 64 ? 1 : 0))
        }
        #expect(host.counted.withLock { $0.count } == 36)
        host.pass(Refusal.doubtWindow - 1)
        #expect(host.counted.withLock { $0.count } == 36)
        // One of them was readahead, one is read again, and one is as the others, but for its time.
        #expect(newFaults(1, thread: 98, offset: 0) == 0)
        #expect(newFaults(1, thread: 99, offset: 99 * 4096) == 1)
        // One waits for its page.
        host.waiting.withLock { $0 = 50 }
        host.pass(1)
        #expect(host.due.withLock { $0.count } == 1)
        let counted = host.counted.withLock { $0 }
        #expect(Set(counted.map(\.client.pid)) == Set(1...100).subtracting([50, 98]))
        #expect(counted.count == 98)
        #expect(counted.allSatisfy { $0.offset == UInt64($0.client.pid) * 4096 })
        host.pass(Refusal.doubtWindow)
        #expect(host.counted.withLock { $0.last?.client.pid } == 98)
        host.waiting.withLock { $0 = 0 }
        host.pass(Refusal.doubtWindow)
        #expect(host.counted.withLock { $0.last?.client.pid } == 50)
        // What comes after the count belongs to the fault.
        #expect(newFaults(1, thread: 100, offset: 100 * 4096) == 0)
        for _ in 0..<3 { host.pass(Refusal.doubtWindow) }
        #expect(host.counted.withLock { $0.count } == 100 && host.due.withLock { $0.isEmpty })
    }

    @Test("at the end nothing stays in doubt") func end() {
        let counted = Guarded(0)
        let refused = RefusedFaults(later: { _, _ in false }, record: { _ in counted.withLock { $0 += 1 } })
        _ = refused.pageWasRefused(
            thread: 1, node: node, offset: 0, isInSystemCall: { _ in false },
            fault: { Self.fault(0, thread: 1) })
        #expect(counted.withLock { $0 } == 1)
    }

    @Test("what a system call is refused is counted at its first read, known or not", arguments: [true, nil])
    func singleRead(isInSystemCall: Bool?) {
        for offset in stride(from: 0, to: 10 * 4096 as UInt64, by: 4096) {
            #expect(verdict(offset: offset, isInSystemCall: isInSystemCall).isNew)
            #expect(!verdict(offset: offset, isInSystemCall: isInSystemCall).isNew)
        }
    }

    @Test("a batch of readahead elsewhere does not come between the reads of a page") func batchAhead() {
        batch()
        var count = newFaults(1)
        refused.batchWasRefused(thread: 1, node: node, offset: 1 << 17, count: 1 << 17)
        count += newFaults(1)
        #expect(count == 1)
        #expect(newFaults(2, offset: 1 << 17) == 1)
    }

    @Test("a batch of the page itself between its reads is a part of the fault") func batchBetween() {
        var count = newFaults(1)
        batch()
        count += newFaults(2)
        #expect(count == 1)
        #expect(newFaults(3) == 1)
    }

    @Test("a page that was handed out meanwhile ends the fault")
    func forget() {
        #expect(newFaults(2) == 1)
        refused.forget(thread: 2)
        refused.forget(thread: 1)
        #expect(newFaults(3) == 1)
        refused.forget(thread: 1)
        refused.forget(thread: 1)
        #expect(newFaults(2) == 1)
    }

    @Test("another page and another file are other faults")
    func otherPlaces() {
        #expect(newFaults(2, offset: 0) == 1)
        #expect(newFaults(2, offset: 4096) == 1)
        #expect(newFaults(2, offset: 0) == 1)
        let other = NodeID(object: 1, role: .view(AddressTag(truncating: 4)))
        #expect(verdict(of: other, isInSystemCall: true).isNew)
    }

    @Test("threads do not disturb one another")
    func threads() {
        var counts = [Int32: Int]()
        for _ in 0..<3 {
            for thread in Int32(1)...60 { counts[thread, default: 0] += newFaults(1, thread: thread) }
        }
        #expect(counts.values.allSatisfy { $0 == 1 })
        refused.forget(thread: 7)
        #expect(newFaults(2, thread: 7) == 1)
        #expect(newFaults(2, thread: 200) == 1)
    }

    @Test("a system call that begins again and again is one fault, and is slowed down")
    func systemCall() {
        batch()
        var (faults, delays) = (0, [Int]())
        for _ in 0..<100 {
            for _ in 0..<3 {
                let verdict = verdict(isInSystemCall: true)
                if verdict.isNew { faults += 1 }
                delays.append(verdict.delay)
            }
        }
        #expect(faults == 1)
        #expect(delays.prefix(3 * Refusal.promptRepeats).allSatisfy { $0 == 0 })
        #expect(delays == delays.sorted() && delays.last == Refusal.longestDelay)
        // Another page, and the same one after it was handed out, are answered at once.
        #expect(verdict(offset: 4096, isInSystemCall: true) == Refusal.Verdict(isNew: true, delay: 0))
        refused.forget(thread: 1)
        #expect(verdict(isInSystemCall: true) == Refusal.Verdict(isNew: true, delay: 0))
    }

    @Test("batches between its reads change nothing") func batchesBetween() {
        var faults = 0
        for _ in 0..<100 {
            batch()
            for _ in 0..<2 where verdict(isInSystemCall: true).isNew { faults += 1 }
        }
        #expect(faults == 1)
        #expect(verdict(isInSystemCall: true).delay == Refusal.longestDelay)
    }

    @Test("where the host does not say, a page that is refused again and again is a fault 16 times")
    func unknown() {
        var faults = 0
        for _ in 0..<300 where verdict(isInSystemCall: nil).isNew { faults += 1 }
        #expect(faults == 1 + Refusal.promptRepeats)
    }

    @Test("who touches a page itself is never slowed down") func ownTouches() {
        for _ in 0..<300 { #expect(verdict().delay == 0) }
    }

    @Test("delays double up to the longest") func delays() {
        #expect((0...16).allSatisfy { Refusal.delay(ofRepeat: $0) == 0 })
        #expect(Refusal.delay(ofRepeat: 17) == 100_000 && Refusal.delay(ofRepeat: 18) == 200_000)
        #expect(Refusal.delay(ofRepeat: 30) == Refusal.longestDelay)
        #expect(Refusal.delay(ofRepeat: .max) == Refusal.longestDelay)
    }

    @Test("what comes later than retries do is another fault", arguments: [true, false])
    func later(isInSystemCall: Bool) {
        for _ in 0..<20 {
            var faults = 0
            for wait in [Refusal.retryWindow, 0, Refusal.retryWindow - 1] {
                host.pass(wait)
                if verdict(isInSystemCall: isInSystemCall).isNew { faults += 1 }
            }
            #expect(faults == 1)
        }
    }

    @Test("the host tells a thread that waits in a system call") func systemCallOfThread() throws {
        #expect(isInSystemCall(thread: 0) == nil)
        let sleeper = Sleeper()
        let thread = DaemonThread("sleeper") { sleeper.run() }
        defer {
            sleeper.isDone.set()
            thread.join()
        }
        // Between two of its calls it is in none.
        func isSeen() -> Bool { isInSystemCall(thread: sleeper.thread.withLock { $0 }) == true }
        for _ in 0..<500 where !isSeen() { usleep(10_000) }
        #expect(isSeen())
    }

    /// A thread that sleeps.
    private final class Sleeper: Sendable {
        let thread = Guarded<Int32>(0)
        let isDone = Flag()

        func run() {
            // As "PID/task/TID".
            var link = [CChar](repeating: 0, count: 64)
            // SAFETY: `readlink` writes at most the bytes of the buffer.
            let count = unsafe readlink("/proc/thread-self", &link, link.count)
            let bytes = link.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
            let words = String(decoding: bytes, as: UTF8.self).split(separator: "/")
            thread.withLock { $0 = words.last.flatMap { Int32($0) } ?? 0 }
            while !isDone.isSet { usleep(100_000) }
        }
    }
}

@Suite("DelayedAnswers") struct DelayedAnswersTests {
    private final class Order: Sendable {
        let given = Guarded<[Int]>([])
        func note(_ number: Int) -> @Sendable () -> Void { { self.given.withLock { $0.append(number) } } }
        var all: [Int] { given.withLock { $0 } }
    }

    @Test("answers are given in the order of their times, not before them; those left, at the end")
    func order() {
        let (answers, order) = (DelayedAnswers(), Order())
        answers.start()
        let start = monotonicNanoseconds()
        let second = Guarded(0)
        answers.give(after: 60_000_000, order.note(3))
        answers.give(after: 20_000_000) {
            second.withLock { $0 = monotonicNanoseconds() }
            order.note(2)()
        }
        answers.give(after: 0, order.note(1))
        answers.give(after: 3_600_000_000_000, order.note(4))
        for _ in 0..<500 where order.all.count < 3 { usleep(10_000) }
        #expect(order.all == [1, 2, 3])
        #expect(second.withLock { $0 } >= start + 20_000_000)
        answers.stop()
        #expect(order.all == [1, 2, 3, 4])
        answers.give(after: 3_600_000_000_000, order.note(5))
        #expect(order.all.last == 5)
    }
}
