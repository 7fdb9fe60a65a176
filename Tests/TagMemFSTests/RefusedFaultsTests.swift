import TagMemCore
import Testing

@testable import TagMemFS

@Suite("RefusedFaults") struct RefusedFaultsTests {
    let refused = RefusedFaults()
    let node = NodeID(object: 1, role: .view(AddressTag(truncating: 3)))

    /// The reads of one page that are faults of their own.
    private func newFaults(_ count: Int, thread: Int32 = 1, offset: UInt64 = 0) -> Int {
        (0..<count).count { _ in refused.isNew(thread: thread, node: node, offset: offset) }
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

    @Test("a page that was handed out meanwhile ends the fault")
    func forget() {
        #expect(newFaults(2) == 1)
        refused.forget(thread: 2)
        refused.forget(thread: 1)
        #expect(newFaults(3) == 1)
        refused.forget(thread: 1)
        refused.forget(thread: 1)
        #expect(newFaults(1) == 1)
    }

    @Test("another page and another file are other faults")
    func otherPlaces() {
        #expect(newFaults(2, offset: 0) == 1)
        #expect(newFaults(2, offset: 4096) == 1)
        #expect(newFaults(2, offset: 0) == 1)
        let other = NodeID(object: 1, role: .view(AddressTag(truncating: 4)))
        #expect(refused.isNew(thread: 1, node: other, offset: 0))
    }

    @Test("threads do not disturb one another")
    func threads() {
        var counts = [Int32: Int]()
        for _ in 0..<3 {
            for thread in Int32(1)...60 { counts[thread, default: 0] += newFaults(1, thread: thread) }
        }
        #expect(counts.values.allSatisfy { $0 == 1 })
        refused.forget(thread: 7)
        #expect(newFaults(1, thread: 7) == 1)
        #expect(newFaults(1, thread: 200) == 1)
    }
}
