import TestSupport
import Testing

@testable import TagMemCore

/// A mover that gives up at any move of any call in any state of a few tiny blocks: the call can be made again.
@Suite("Allocator, a mover that gives up") struct AllocatorGivingUpTests {
    typealias Shape = AllocatorExhaustiveTests.Shape

    static let shapes: [Shape] = [
        .init(blocks: 1, dataPages: 4, tagPages: 2), .init(blocks: 2, dataPages: 2, tagPages: 1),
        .init(blocks: 2, dataPages: 2, tagPages: 2), .init(blocks: 3, dataPages: 2, tagPages: 1),
        .init(blocks: 3, dataPages: 1, tagPages: 2),
    ]

    /// Calls `body` with every state, as many times as it has moves to refuse: `body` returns whether one was.
    private func forEachRefusal(
        _ shape: Shape, _ body: (inout AllocatorHarness, String) throws -> Bool
    ) throws {
        let states = AllocatorHarness.blockStates(
            dataPages: shape.dataPages, tagPages: shape.tagPages, cells: [.free, .untagged, .tagged])
        func extend(_ prefix: [[Cell]]) throws {
            guard prefix.count == shape.blocks else {
                for state in states { try extend(prefix + [state]) }
                return
            }
            for refused in 0..<100 {
                var harness = try AllocatorHarness.make(
                    prefix, dataPages: shape.dataPages, tagPages: shape.tagPages)
                var asked = -1
                harness.memory.givesUp = true
                harness.memory.refusals = {
                    asked += 1
                    return asked == refused
                }
                if try !body(&harness, "\(prefix), move \(refused) refused") { return }
            }
        }
        try extend([])
    }

    @Test("an allocation is as complete when it is made again", arguments: shapes, PageUse.allCases)
    func allocate(_ shape: Shape, _ use: PageUse) throws {
        try forEachRefusal(shape) { harness, note in
            let isPossible = harness.mustSucceed(use)
            let (failures, error) = (harness.allocator.counters.failures, harness.attempt(use))
            try harness.verify(note)
            guard error == .mustWait(use) else {
                try #require(error == (isPossible ? nil : .noMemory(use)), "\(note)")
                return false
            }
            let counted = harness.allocator.counters.failures
            try #require(isPossible && counted == failures, "\(note)")
            let again = harness.attempt(use)
            try #require(again == nil, "\(note)")
            try harness.verify(note)
            return true
        }
    }

    @Test("a page turns tagged when the call is made again", arguments: shapes.prefix(3))
    func setUse(_ shape: Shape) throws {
        // Every page in turn: which one is the number of a round.
        for round in 0..<shape.blocks * (shape.dataPages + shape.tagPages) {
            try forEachRefusal(shape) { harness, note in
                let owners = harness.pages.filter { $0.value.use == .untagged }.keys
                    .sorted { $0.index < $1.index }
                guard round < owners.count else { return false }
                let owner = owners[round]
                let (u, t) = harness.used
                let isPossible = harness.isPossible(untagged: u - 1, tagged: t + 1)
                var error: AllocationError?
                do {
                    try harness.setUse(owner, .tagged)
                } catch let thrown as AllocationError {
                    error = thrown
                }
                try harness.verify(note)
                guard error == .mustWait(.tagged) else {
                    try #require(error == (isPossible ? nil : .noMemory(.tagged)), "\(note)")
                    return false
                }
                try #require(isPossible, "\(note)")
                try harness.setUse(owner, .tagged)
                try harness.verify(note)
                return true
            }
        }
    }

    @Test("compaction goes on where it was", arguments: shapes, [1, 1000])
    func compact(_ shape: Shape, _ budget: Int) throws {
        try forEachRefusal(shape) { harness, note in
            harness.allocator.compactStep(budget: budget, with: &harness.memory)
            try harness.verify(note)
            let hasGivenUp = harness.memory.hasGivenUp
            let isCompact = harness.allocator.isCompact
            if hasGivenUp { try #require(!isCompact, "\(note)") }
            try harness.compact(budget: budget)
            harness.expectFrugal()
            try harness.verify(note)
            return hasGivenUp
        }
    }
}
