import Testing

@testable import TagMemCore

/// What a page of an enumerated state is.
enum Cell: CaseIterable {
    case free, untagged, tagged, pinnedUntagged, pinnedTagged

    var use: PageUse? {
        switch self {
        case .free: nil
        case .untagged, .pinnedUntagged: .untagged
        case .tagged, .pinnedTagged: .tagged
        }
    }

    var isPinned: Bool { self == .pinnedTagged || self == .pinnedUntagged }
}

extension AllocatorHarness {
    /// All states that one block can be in, as the cells of its pages.
    static func blockStates(dataPages: Int, tagPages: Int, cells: [Cell]) -> [[Cell]] {
        var states: [[Cell]] = [[]]
        for _ in 0..<dataPages + tagPages {
            states = states.flatMap { state in cells.map { state + [$0] } }
        }
        return states.filter { state in
            let data = state[..<dataPages]
            let tag = state[dataPages...]
            let isTagged = data.contains { $0.use == .tagged }
            return tag.allSatisfy { isTagged ? $0 == .free : $0.use != .tagged }
        }
    }

    /// An allocator whose blocks are in these states, however they came to be.
    static func make(_ states: [[Cell]], dataPages: Int, tagPages: Int) throws -> AllocatorHarness {
        var harness = try AllocatorHarness(blocks: states.count, dataPages: dataPages, tagPages: tagPages)
        harness.allocator.freshBlock = states.count
        for (index, state) in states.enumerated() {
            try harness.set(BlockIndex(UInt32(index)), state)
        }
        return harness
    }

    private mutating func set(_ block: BlockIndex, _ state: [Cell]) throws {
        let uses = state.compactMap(\.use)
        if uses.isEmpty { return allocator.relist(block, allocator.table[block]) }
        allocator.change(block, to: uses.contains(.tagged) ? .tagged : .untagged, &memory)
        for (position, cell) in state.enumerated() {
            guard let use = cell.use else { continue }
            let owner = newOwner()
            memory.frames[owner] = allocator.giveOut(Place(block, position), use, owner, &memory)
            pages[owner] = Page(use: use, value: 0, tag: 0)
            fill(owner)
            if cell.isPinned { try setPinned(owner, true) }
        }
    }
}
