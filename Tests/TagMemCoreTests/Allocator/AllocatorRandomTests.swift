import TestSupport
import Testing

@testable import TagMemCore

/// Long random lives, checked against the formula, with contents and tags of every page compared after every step.
@Suite("Allocator, random lives", .repeatable) struct AllocatorRandomTests {
    struct Setting: CustomTestStringConvertible {
        let blocks: Int
        var dataPages = 32
        var tagPages = 1
        let steps: Int
        /// Pages may be pinned; the mover may refuse; there is a reserve.
        var pins = false
        var refusals = false
        var reserve = false
        /// A refusal ends the call.
        var givesUp = false
        var testDescription: String {
            "\(blocks) blocks of \(dataPages) + \(tagPages)\(pins ? ", pins" : "")\(refusals ? ", refusals" : "")\(givesUp ? " that end the call" : "")\(reserve ? ", reserve" : "")"
        }
        var isExact: Bool { !pins && !refusals }
    }

    static let settings: [Setting] = [
        .init(blocks: 1, steps: 800), .init(blocks: 2, steps: 1500), .init(blocks: 3, steps: 1500),
        .init(blocks: 3, dataPages: 64, tagPages: 2, steps: 1000),
        .init(blocks: 5, dataPages: 4, steps: 2000),
        .init(blocks: 8, dataPages: 6, tagPages: 3, steps: 1500), .init(blocks: 20, steps: 400),
        .init(blocks: 6, steps: 1200, reserve: true), .init(blocks: 6, dataPages: 4, steps: 1500, pins: true),
        .init(blocks: 4, steps: 1000, pins: true, reserve: true),
        .init(blocks: 6, dataPages: 4, steps: 1500, refusals: true),
        .init(blocks: 5, dataPages: 8, tagPages: 2, steps: 1500, pins: true, refusals: true, reserve: true),
        .init(blocks: 6, dataPages: 4, steps: 1500, refusals: true, givesUp: true),
        .init(blocks: 3, steps: 1000, refusals: true, reserve: true, givesUp: true),
        .init(blocks: 5, dataPages: 8, tagPages: 2, steps: 1500, pins: true, refusals: true, givesUp: true),
    ]

    @Test("every allocation that can be is, and nothing is ever lost", arguments: settings)
    func life(_ setting: Setting) throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(
                blocks: setting.blocks, dataPages: setting.dataPages, tagPages: setting.tagPages)
            if setting.refusals {
                var seeded = SeededGenerator(seed: generator.next())
                harness.memory.refusals = { seeded.oneIn(6) }
                harness.memory.givesUp = setting.givesUp
            }
            if setting.reserve {
                harness.allocator.setReserveWatermark(.tagged, to: 3)
                harness.allocator.setReserveWatermark(.untagged, to: 2)
            }
            // Phases that fill with one use or the other, and phases that free, so that every border is met often.
            var weights = (allocate: 6, free: 3, tagged: 5)
            for step in 0..<setting.steps {
                if step % 60 == 0 {
                    weights = (
                        Int.random(in: 1...9, using: &generator), Int.random(in: 1...6, using: &generator),
                        Int.random(in: 0...10, using: &generator)
                    )
                }
                try self.step(&harness, setting, weights, &generator)
                try harness.verify("step \(step)")
            }
            // At rest: everything may move again, and compaction is frugal.
            harness.memory.refusals = nil
            for owner in harness.pages.filter(\.value.isPinned).keys { try harness.setPinned(owner, false) }
            try harness.compact(budget: 3)
            harness.expectFrugal()
            try harness.verify("at rest")
        }
    }

    private func step(
        _ harness: inout AllocatorHarness, _ setting: Setting,
        _ weights: (allocate: Int, free: Int, tagged: Int), _ generator: inout SeededGenerator
    ) throws {
        let use: PageUse = Int.random(in: 0..<10, using: &generator) < weights.tagged ? .tagged : .untagged
        let owner = harness.pages.keys.sorted { $0.index < $1.index }.randomElement(using: &generator)
        let isPinned = owner.flatMap { harness.pages[$0]?.isPinned } ?? false
        let choice = Int.random(in: 0..<weights.allocate + weights.free + 4, using: &generator)
        switch choice {
        case 0:
            let tagsNeeded = harness.allocator.tagPagesNeeded
            harness.memory.hasGivenUp = false
            harness.allocator.compactStep(
                budget: Int.random(in: 1...40, using: &generator), with: &harness.memory)
            #expect(harness.allocator.tagPagesReserved >= tagsNeeded)
        case 1:
            guard let owner, let page = harness.pages[owner] else { return }
            if setting.pins, generator.oneIn(2) { return try harness.setPinned(owner, !isPinned) }
            try changeUse(of: owner, page.use == .tagged ? .untagged : .tagged, &harness, setting)
        case 2: try atomic(use, &harness)
        case 3:
            guard setting.reserve else { return }
            let canBeAll = harness.isPossible(
                untagged: harness.count(.untagged) + 2, tagged: harness.count(.tagged) + 3)
            harness.memory.hasGivenUp = false
            do throws(AllocationError) {
                try harness.allocator.refillReserve(budget: 9, with: &harness.memory)
                let needsRefill = harness.allocator.needsRefill
                #expect(!needsRefill)
            } catch {
                #expect(!canBeAll || !setting.isExact)
            }
        case ..<(4 + weights.allocate): try allocate(use, &harness, setting)
        default:
            guard let owner, !isPinned else { return }
            try harness.free(owner)
        }
    }

    private func allocate(
        _ use: PageUse, _ harness: inout AllocatorHarness, _ setting: Setting
    ) throws {
        let expected = harness.mustSucceed(use)
        var error = harness.attempt(use)
        if setting.givesUp, error == .mustWait(use) {
            // What was in the way has gone: the call is made again, and is as complete as if nothing had been.
            try #require(expected)
            try harness.verify("given up")
            let refusals = harness.memory.refusals
            harness.memory.refusals = nil
            error = harness.attempt(use)
            harness.memory.refusals = refusals
            if !setting.pins { try #require(error == nil, "\(harness.used) of \(harness.blocks) blocks") }
        } else if setting.givesUp, !setting.pins {
            try #require(error == (expected ? nil : .noMemory(use)))
        }
        if expected, setting.isExact {
            try #require(error == nil, "\(harness.used) of \(harness.blocks) blocks")
        }
        if !expected { try #require(error == .noMemory(use)) }
        if error != nil, expected { try #require(error == .immovable(use)) }
    }

    /// Atomic allocations move nothing, and fail only when nothing is at hand and the reserve is empty.
    private func atomic(_ use: PageUse, _ harness: inout AllocatorHarness) throws {
        let moves = harness.memory.moves
        let reserved = harness.allocator.reservedPages(use)
        let isFree = use == .untagged ? harness.allocator.freePages > 0 : harness.allocator.freeBlocks > 0
        let error = harness.attempt(use, atomic: true)
        try #require(harness.memory.moves == moves)
        if reserved > 0 || isFree { try #require(error == nil) }
        if error != nil { try #require(error == .reserveEmpty(use)) }
    }

    private func changeUse(
        of owner: PageOwner, _ use: PageUse, _ harness: inout AllocatorHarness, _ setting: Setting
    ) throws {
        let (u, t) = harness.used
        let expected = use == .untagged || harness.isPossible(untagged: u - 1, tagged: t + 1)
        do {
            try harness.setUse(owner, use)
            try #require(expected)
        } catch let error as AllocationError {
            let isFair =
                expected
                ? !setting.isExact && (error == .immovable(.tagged) || error == .mustWait(.tagged))
                : error == .noMemory(.tagged)
            try #require(isFair, "\(error)")
        }
    }

    /// A thousand blocks: the same, with everything compared at intervals only.
    @Test("a thousand blocks fill to the last page, however the uses are mixed", arguments: [0, 1, 5, 9, 10])
    func large(_ tagged: Int) throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(blocks: 1000, dataPages: 32, tagPages: 1)
            var owners: [PageOwner] = []
            for round in 0..<3 {
                // To the brim; then a third of the pages at random go.
                var full: Set<PageUse> = []
                while full.count < 2 {
                    let isTagged = Int.random(in: 0..<10, using: &generator) < tagged
                    let use: PageUse =
                        isTagged && !full.contains(.tagged) || full.contains(.untagged) ? .tagged : .untagged
                    let expected = harness.mustSucceed(use)
                    if try expected != harness.attemptQuickly(use, &owners) {
                        Issue.record("\(harness.used)")
                    }
                    if !expected { full.insert(use) }
                }
                #expect(harness.allocator.availableUntagged == 0 && harness.allocator.availableTagged == 0)
                try harness.verify("round \(round), full")
                owners.shuffle(using: &generator)
                for owner in owners.suffix(owners.count / 3) { try harness.free(owner) }
                owners.removeLast(owners.count / 3)
                if round == 1 {
                    try harness.compact(budget: 64)
                    harness.expectFrugal()
                }
                try harness.verify("round \(round)")
            }
            try harness.compact(budget: 1000)
            harness.expectFrugal()
            try harness.verify("at rest")
        }
    }
}

extension AllocatorHarness {
    /// As `allocate`, without the linear search for the frame among the others'.
    mutating func attemptQuickly(_ use: PageUse, _ owners: inout [PageOwner]) throws -> Bool {
        let owner = newOwner()
        guard let frame = try? allocator.allocate(use, for: owner, with: &memory) else { return false }
        memory.frames[owner] = frame
        pages[owner] = Page(use: use, value: 0, tag: 0)
        fill(owner)
        owners.append(owner)
        return true
    }
}
