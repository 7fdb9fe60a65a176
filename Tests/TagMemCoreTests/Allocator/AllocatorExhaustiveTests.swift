import TestSupport
import Testing

@testable import TagMemCore

/// Every state of a few tiny blocks, however it came to be, and every call in it.
@Suite("Allocator, every small state") struct AllocatorExhaustiveTests {
    struct Shape: CustomTestStringConvertible {
        let blocks: Int
        let dataPages: Int
        let tagPages: Int
        var testDescription: String { "\(blocks) blocks of \(dataPages) + \(tagPages)" }
    }

    static let shapes: [Shape] = [
        .init(blocks: 1, dataPages: 1, tagPages: 1), .init(blocks: 1, dataPages: 4, tagPages: 1),
        .init(blocks: 1, dataPages: 4, tagPages: 2), .init(blocks: 2, dataPages: 2, tagPages: 1),
        .init(blocks: 2, dataPages: 3, tagPages: 1), .init(blocks: 2, dataPages: 2, tagPages: 2),
        .init(blocks: 3, dataPages: 2, tagPages: 1), .init(blocks: 3, dataPages: 1, tagPages: 1),
        .init(blocks: 3, dataPages: 1, tagPages: 2),
    ]

    static func forEachState(
        _ shape: Shape, _ cells: [Cell], _ body: ([[Cell]]) throws -> Void
    ) rethrows {
        let states = AllocatorHarness.blockStates(
            dataPages: shape.dataPages, tagPages: shape.tagPages, cells: cells)
        func extend(_ prefix: [[Cell]]) throws {
            if prefix.count == shape.blocks { return try body(prefix) }
            for state in states { try extend(prefix + [state]) }
        }
        try extend([])
    }

    private func make(_ state: [[Cell]], _ shape: Shape) throws -> AllocatorHarness {
        try AllocatorHarness.make(state, dataPages: shape.dataPages, tagPages: shape.tagPages)
    }

    @Test("an allocation fails only if it must", arguments: shapes, PageUse.allCases)
    func complete(_ shape: Shape, _ use: PageUse) throws {
        try Self.forEachState(shape, [.free, .untagged, .tagged]) { state in
            var harness = try make(state, shape)
            let expected = harness.mustSucceed(use)
            let available =
                use == .tagged ? harness.allocator.availableTagged : harness.allocator.availableUntagged
            try #require(expected == (available > 0), "\(state)")
            let error = harness.attempt(use)
            try #require(error == (expected ? nil : .noMemory(use)), "\(state)")
            try harness.verify("\(state)")
            // And as many more as were promised, to the last.
            guard expected else { return }
            for _ in 1..<available { try harness.allocate(use) }
            let more = harness.mustSucceed(use)
            try #require(!more, "\(state)")
            try harness.verify("\(state)")
        }
    }

    @Test("a page can turn tagged unless it must not", arguments: shapes)
    func setUse(_ shape: Shape) throws {
        try Self.forEachState(shape, [.free, .untagged, .tagged]) { state in
            for owner in try make(state, shape).pages.keys {
                var harness = try make(state, shape)
                let use = try #require(harness.pages[owner]).use
                let (u, t) = harness.used
                if use == .tagged {
                    try harness.setUse(owner, .untagged)
                } else if harness.isPossible(untagged: u - 1, tagged: t + 1) {
                    try harness.setUse(owner, .tagged)
                } else {
                    #expect(throws: AllocationError.noMemory(.tagged)) { try harness.setUse(owner, .tagged) }
                }
                try harness.verify("\(state)")
            }
        }
    }

    @Test("compaction leaves as many Tag Pages reserved as are needed", arguments: shapes, [1, 2, 1000])
    func frugal(_ shape: Shape, _ budget: Int) throws {
        try Self.forEachState(shape, [.free, .untagged, .tagged]) { state in
            var harness = try make(state, shape)
            try harness.compact(budget: budget)
            harness.expectFrugal()
            try harness.verify("\(state)")
        }
    }

    @Test("blocks all free again return to the pool at once", arguments: shapes)
    func free(_ shape: Shape) throws {
        try Self.forEachState(shape, [.free, .untagged, .tagged]) { state in
            var harness = try make(state, shape)
            for owner in harness.pages.keys {
                try harness.free(owner)
                try harness.verify("\(state)")
            }
            #expect(harness.allocator.freeBlocks == shape.blocks)
            #expect(harness.allocator.tagPagesReserved == 0)
        }
    }

    @Test(
        "pinned pages stay, and nothing is lost around them",
        arguments: [Shape(blocks: 2, dataPages: 2, tagPages: 1)])
    func pinned(_ shape: Shape) throws {
        try Self.forEachState(shape, Cell.allCases) { state in
            var harness = try make(state, shape)
            let pinned = harness.pages.filter(\.value.isPinned).keys.map { ($0, harness.memory.frames[$0]) }
            for use in PageUse.allCases {
                let expected = harness.mustSucceed(use)
                let error = harness.attempt(use)
                try #require(
                    error == nil ? expected : error == (expected ? .immovable(use) : .noMemory(use)),
                    "\(state)")
                try #require(error != .immovable(use) || !pinned.isEmpty, "\(state)")
                try harness.verify("\(state)")
            }
            try harness.compact(budget: 1)
            try harness.verify("\(state)")
            for (owner, frame) in pinned { try #require(harness.memory.frames[owner] == frame, "\(state)") }
        }
    }

    @Test("whichever page refuses to move, nothing is lost", arguments: shapes.filter { $0.blocks == 2 })
    func refused(_ shape: Shape) throws {
        try Self.forEachState(shape, [.free, .untagged, .tagged]) { state in
            // Only states in which something must move.
            guard state.allSatisfy({ $0.contains { $0 != .free } }) else { return }
            for frame in try make(state, shape).memory.frames.values {
                for use in PageUse.allCases {
                    var harness = try make(state, shape)
                    harness.memory.refusing = [frame]
                    let expected = harness.mustSucceed(use)
                    if let error = harness.attempt(use) {
                        try #require(error == (expected ? .immovable(use) : .noMemory(use)), "\(state)")
                    }
                    try harness.verify("\(state)")
                    try harness.compact(budget: 1)
                    try harness.verify("\(state)")
                }
            }
        }
    }
}
