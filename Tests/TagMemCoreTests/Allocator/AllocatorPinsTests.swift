import TestSupport
import Testing

@testable import TagMemCore

/// How much can be had where pages are pinned: against every arrangement there is, and against what one gets.
@Suite("Allocator, amounts around pins", .repeatable) struct AllocatorPinsTests {
    typealias Shape = AllocatorExhaustiveTests.Shape

    static let shapes: [Shape] = [
        .init(blocks: 1, dataPages: 4, tagPages: 1), .init(blocks: 2, dataPages: 2, tagPages: 1),
        .init(blocks: 3, dataPages: 1, tagPages: 1), .init(blocks: 1, dataPages: 3, tagPages: 2),
    ]

    @Test("the amounts are those of the best arrangement around the pins", arguments: shapes)
    func exhaustive(_ shape: Shape) throws {
        try AllocatorExhaustiveTests.forEachState(shape, Cell.allCases) { state in
            for use in PageUse.allCases { try check(state, shape, use) }
        }
    }

    @Test(
        "and so they are in larger blocks",
        arguments: [
            Shape(blocks: 3, dataPages: 4, tagPages: 1), Shape(blocks: 4, dataPages: 5, tagPages: 2),
            Shape(blocks: 6, dataPages: 3, tagPages: 1),
        ])
    func random(_ shape: Shape) throws {
        try withSeed { generator in
            for _ in 0..<250 {
                // Some cells often, others seldom.
                let cells = (0..<8).map { _ in Cell.allCases.randomElement(using: &generator) ?? .free }
                let state = (0..<shape.blocks).map { _ in Self.block(shape, cells, &generator) }
                for use in PageUse.allCases { try check(state, shape, use) }
            }
        }
    }

    private static func block(
        _ shape: Shape, _ cells: [Cell], _ generator: inout SeededGenerator
    ) -> [Cell] {
        let isTagged = generator.oneIn(2)
        var block = (0..<shape.dataPages + shape.tagPages).map { position in
            let cell = cells.randomElement(using: &generator) ?? .free
            if isTagged { return position < shape.dataPages ? cell : .free }
            return cell.use == .tagged ? .untagged : cell
        }
        // A tagged block has a tagged page.
        if isTagged, !block.contains(where: { $0.use == .tagged }) { block[0] = .tagged }
        return block
    }

    private func check(_ state: [[Cell]], _ shape: Shape, _ use: PageUse) throws {
        var harness = try AllocatorHarness.make(state, dataPages: shape.dataPages, tagPages: shape.tagPages)
        let available = harness.allocator.available(use)
        try #require(available == Self.most(use, state, shape), "\(use) in \(state)")
        // That much one gets, unless no page is free to turn another block tagged. What cannot be had moves nothing.
        var had = 0
        var moves = harness.memory.moves
        while harness.attempt(use) == nil {
            had += 1
            moves = harness.memory.moves
        }
        if had == available { try #require(harness.memory.moves == moves, "\(state)") }
        try harness.verify("\(state)")
        let isStuck =
            harness.allocator.pinnedBlocks.lending > 0 && harness.allocator.freePages < shape.tagPages
        try #require(
            isStuck ? had <= available : had == available, "\(had) \(use), not \(available), in \(state)")
        try #require(harness.allocator.available(use) == available - had, "\(state)")
    }

    /// The most pages more of a use, in whatever blocks are tagged and wherever pages that are not pinned lie.
    static func most(_ use: PageUse, _ state: [[Cell]], _ shape: Shape) -> Int {
        let used = state.joined().count { $0 != .free }
        let tagged = state.joined().count { $0.use == .tagged }
        var most = 0
        for chosen in 0..<1 << state.count {
            var room = 0
            var isPossible = true
            var pages = shape.blocks * (shape.dataPages + shape.tagPages)
            for (index, block) in state.enumerated() {
                if chosen & 1 << index == 0 {
                    if block.contains(.pinnedTagged) { isPossible = false }
                } else {
                    if block[shape.dataPages...].contains(.pinnedUntagged) { isPossible = false }
                    room += block[..<shape.dataPages].count { $0 != .pinnedUntagged }
                    pages -= shape.tagPages
                }
            }
            guard isPossible, room >= tagged else { continue }
            most = max(most, min(pages - used, use == .tagged ? room - tagged : .max))
        }
        return most
    }
}
