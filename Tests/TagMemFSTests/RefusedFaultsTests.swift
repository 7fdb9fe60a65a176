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

    @Test("one access is one fault: two reads, or three where readahead comes first", arguments: [2, 3])
    func oneAccess(_ reads: Int) { #expect(newFaults(reads) == 1) }

    @Test("accesses that are repeated are counted", arguments: [2, 3])
    func repeatedAccesses(_ readsOfFirst: Int) {
        var count = newFaults(readsOfFirst)
        #expect(count == 1)
        for access in 2...20 {
            count += newFaults(2)
            #expect(count == access)
        }
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
