import TestSupport
import Testing

@testable import TagMemCore

/// What is promised can be had, in whatever order and whatever happens meanwhile; and what cannot be had is not promised.
@Suite("Allocator, promises", .repeatable) struct AllocatorPromisesTests {
    typealias Shape = AllocatorExhaustiveTests.Shape

    /// Something that can be promised: a page of a use, or (nil) that an untagged page turns tagged.
    private static let kinds: [PageUse?] = [.untagged, .tagged, nil]
    private static let orders: [[Int]] = [
        [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0],
    ]

    @Test(
        "every promise is kept in every small state, and nothing else takes its place",
        arguments: AllocatorExhaustiveTests.shapes)
    func exhaustive(_ shape: Shape) throws {
        var number = 0
        try AllocatorExhaustiveTests.forEachState(shape, [.free, .untagged, .tagged]) { state in
            for counts in [
                [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [2, 1, 0], [0, 2, 1], [1, 0, 2], [1, 2, 2],
            ] {
                var harness = try AllocatorHarness.make(
                    state, dataPages: shape.dataPages, tagPages: shape.tagPages)
                guard counts[2] <= harness.count(.untagged) else { continue }
                number += 1
                let order = Self.orders[number % Self.orders.count]
                let promised = try order.map { try harness.promise(Self.kinds[$0], pages: counts[$0]) }
                try harness.verify("\(state)")
                // Others take whatever they can, in one way or another.
                let use: PageUse = number & 8 == 0 ? .untagged : .tagged
                while try harness.attemptBesidePromises(use, atomic: number & 16 == 0) {}
                try harness.verify("\(state)")
                // Then the promises are kept, one of each at a time or one after the other.
                var left = zip(order, promised).flatMap { kind, isPromised in
                    isPromised ? Array(repeating: kind, count: counts[kind]) : []
                }
                if number & 32 == 0 { left.sort { ($0 + number) % 3 < ($1 + number) % 3 } }
                for kind in left {
                    try harness.keepPromise(Self.kinds[kind])
                    try harness.verify("\(state) \(counts) \(order)")
                    // What comes to be at hand may be had, but no more than before without it.
                    let isMore = try harness.attemptBesidePromises(use, atomic: number & 16 == 0)
                    try #require(!isMore || number & 16 == 0, "\(state)")
                }
                try #require(harness.allocator.promises.isEmpty)
            }
        }
    }

    @Test("of two that each fit and do not fit together, one gets all", arguments: Self.kinds, Self.kinds)
    func two(_ first: PageUse?, _ second: PageUse?) throws {
        var harness = try AllocatorHarness(blocks: 20)
        // 640 untagged pages can turn tagged only if nobody has the last 20 pages.
        for _ in 0..<640 { try harness.allocate(.untagged) }
        // Each needs most of what there is for it.
        let needOfFirst = harness.mostForPromise(first)
        let needOfSecond = harness.mostForPromise(second) * 9 / 10
        let isFirst = try harness.promise(first, pages: needOfFirst)
        let isSecond = try harness.promise(second, pages: needOfSecond)
        #expect(isFirst && !isSecond)
        for _ in 0..<needOfFirst {
            _ = try harness.attemptBesidePromises(.tagged, atomic: false)
            try harness.keepPromise(first)
        }
        try harness.verify()
    }

    @Test("a promise that is released is there for others")
    func release() throws {
        var harness = try AllocatorHarness(blocks: 2, dataPages: 4)
        #expect(try harness.promise(.untagged, pages: 10))
        #expect(harness.allocator.availableUntagged == 0 && harness.allocator.availableTagged == 0)
        #expect(harness.attempt(.tagged) == .noMemory(.tagged))
        #expect(harness.attempt(.untagged, atomic: true) == .reserveEmpty(.untagged))
        harness.allocator.releasePromise(.untagged, pages: 6)
        #expect(harness.allocator.promisedPages(.untagged) == 4 && harness.allocator.availableTagged == 4)
        #expect(try harness.promise(.tagged, pages: 4))
        #expect(harness.allocator.availableUntagged == 1)
        harness.allocator.releasePromise(.tagged, pages: 4)
        harness.allocator.releasePromise(.untagged, pages: 4)
        #expect(harness.allocator.availableUntagged == 10 && harness.attempt(.tagged) == nil)
        try harness.verify()
    }

    @Test("a promise outlasts a call that gives up")
    func givingUp() throws {
        var harness = try AllocatorHarness(blocks: 2, dataPages: 2, tagPages: 1)
        for _ in 0..<4 { try harness.allocate(.untagged) }
        #expect(try harness.promise(.tagged, pages: 1))
        harness.memory.refusals = { true }
        harness.memory.givesUp = true
        #expect(throws: AllocationError.mustWait(.tagged)) { try harness.keepPromise(.tagged) }
        #expect(harness.allocator.promisedPages(.tagged) == 1)
        #expect(harness.attempt(.untagged) == .noMemory(.untagged))
        harness.memory.refusals = nil
        try harness.keepPromise(.tagged)
        try harness.verify()
    }

    @Test(
        "memory that is not whole Tag Blocks is promised to the last page",
        arguments: SpecialBlocksTests.machines)
    func special(_ machine: SpecialBlocksTests.Machine) throws {
        for use in PageUse.allCases {
            let map = try machine.map()
            var allocator = try PageAllocator(BlockLayout(map: map))
            var mover = DRAMPageMover(dram: try DRAM(map: map), layout: allocator.layout)
            let most = use == .tagged ? machine.mostTagged : machine.pages
            let isMore = allocator.promise(use, pages: most + 1)
            let isAll = allocator.promise(use, pages: most)
            #expect(!isMore && isAll)
            // What is left beside them goes to others, who get nothing of it.
            var index: UInt32 = 0
            func owner() -> PageOwner {
                index += 1
                return PageOwner(object: 1, index: index)
            }
            for other in PageUse.allCases {
                while (try? allocator.allocate(other, for: owner(), with: &mover)) != nil {}
                #expect(throws: AllocationError.reserveEmpty(other)) {
                    try allocator.allocateAtomic(other, for: owner(), with: &mover)
                }
            }
            for _ in 0..<most { _ = try allocator.allocatePromised(use, for: owner(), with: &mover) }
            try allocator.checkInvariants()
            #expect(allocator.promisedPages(use) == 0 && allocator.available(use) == 0)
        }
    }

    @Test("with pins and refusals a promise fails only because of them, and stands", arguments: [2, 6])
    func pinsAndRefusals(_ blocks: Int) throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(blocks: blocks, dataPages: 4, tagPages: 1)
            var seeded = SeededGenerator(seed: generator.next())
            harness.memory.refusals = { seeded.oneIn(6) }
            for step in 0..<1200 {
                let owner = harness.pages.keys.sorted { $0.index < $1.index }.randomElement(using: &generator)
                let kind = Self.kinds.randomElement(using: &generator) ?? nil
                switch Int.random(in: 0..<8, using: &generator) {
                case 0:
                    let pages = Int.random(in: 1...4, using: &generator)
                    let isPromised = kind.map { harness.allocator.promise($0, pages: pages) }
                    if isPromised == true { try #require(harness.promised(kind) >= pages) }
                case 1...3:
                    guard let kind, harness.promised(kind) > 0 else { continue }
                    let before = harness.promised(kind)
                    do {
                        try harness.allocatePromised(kind)
                        try #require(harness.promised(kind) == before - 1)
                    } catch let error as AllocationError {
                        try #require(error == .immovable(kind) && harness.promised(kind) == before)
                    }
                case 4:
                    if let owner { try harness.setPinned(owner, harness.pages[owner]?.isPinned == false) }
                case 5: _ = harness.attempt(kind ?? .untagged, atomic: generator.oneIn(3))
                default:
                    guard let owner, harness.pages[owner]?.isPinned == false else { continue }
                    try harness.free(owner)
                }
                try harness.verify("step \(step)")
            }
            // With nothing in the way any more all that was promised is there.
            harness.memory.refusals = nil
            for (owner, page) in harness.pages where page.isPinned { try harness.setPinned(owner, false) }
            for use in PageUse.allCases {
                while harness.promised(use) > 0 { try harness.keepPromise(use) }
            }
            try harness.verify()
        }
    }

    @Test("long lives with promises, frees, changes of use and a reserve", arguments: [0, 3], [1, 3, 9])
    func life(_ reserve: Int, _ blocks: Int) throws {
        try withSeed { generator in
            var harness = try AllocatorHarness(blocks: blocks, dataPages: 6, tagPages: 2)
            harness.allocator.setReserveWatermark(.tagged, to: reserve)
            for step in 0..<1500 {
                let kind = Self.kinds.randomElement(using: &generator) ?? nil
                switch Int.random(in: 0..<10, using: &generator) {
                case 0:
                    let pages = Int.random(in: 0...10, using: &generator)
                    if kind != nil || pages <= harness.untaggedBesidePromises {
                        _ = try harness.promise(kind, pages: pages)
                    }
                case 1...4 where harness.promised(kind) > 0: try harness.keepPromise(kind)
                case 5 where harness.promised(kind) > 0:
                    let pages = Int.random(in: 1...harness.promised(kind), using: &generator)
                    harness.releasePromise(kind, pages: pages)
                case 6: _ = try harness.attemptBesidePromises(kind ?? .tagged, atomic: generator.oneIn(3))
                case 7:
                    harness.memory.hasGivenUp = false
                    harness.allocator.compactStep(budget: 5, with: &harness.memory)
                    try? harness.allocator.refillReserve(budget: 2, with: &harness.memory)
                default:
                    guard let owner = harness.pages.keys.min(by: { $0.index < $1.index }),
                        let page = harness.pages[owner]
                    else { continue }
                    if page.use == .tagged, generator.oneIn(2) {
                        try harness.setUse(owner, .untagged)
                    } else if page.use == .tagged || harness.untaggedBesidePromises > 0 {
                        try harness.free(owner)
                    }
                }
                try harness.verify("step \(step)")
            }
        }
    }
}

extension AllocatorHarness {
    func promised(_ kind: PageUse?) -> Int {
        kind.map { allocator.promisedPages($0) } ?? allocator.promisedTaggings
    }

    /// The most that can be promised.
    func mostForPromise(_ kind: PageUse?) -> Int {
        kind.map { allocator.available($0) } ?? count(.untagged)
    }

    /// Untagged pages that no conversion was promised for.
    var untaggedBesidePromises: Int { count(.untagged) - promised(nil) }

    /// The design's formula, with all promises kept and that much more.
    private func isPossible(besidePromises untagged: Int, _ tagged: Int) -> Bool {
        isPossible(
            untagged: used.untagged + promised(.untagged) - promised(nil) + untagged,
            tagged: used.tagged + promised(.tagged) + promised(nil) + tagged)
    }

    /// Promises pages exactly if they can be had.
    mutating func promise(_ kind: PageUse?, pages: Int) throws -> Bool {
        let before = promised(kind)
        let expected =
            switch kind {
            case .untagged: isPossible(besidePromises: pages, 0)
            case .tagged: isPossible(besidePromises: 0, pages)
            case nil: isPossible(besidePromises: -pages, pages)
            }
        let isPromised =
            if let kind { allocator.promise(kind, pages: pages) } else {
                allocator.promiseTagging(pages: pages)
            }
        try #require(isPromised == expected)
        try #require(promised(kind) == before + (isPromised ? pages : 0))
        return isPromised
    }

    mutating func releasePromise(_ kind: PageUse?, pages: Int) {
        if let kind {
            allocator.releasePromise(kind, pages: pages)
        } else {
            allocator.releaseTaggingPromise(pages: pages)
        }
    }

    /// Takes one page of a promise.
    mutating func keepPromise(_ kind: PageUse?) throws {
        let before = promised(kind)
        if let kind {
            try allocatePromised(kind)
        } else {
            let owner = try #require(
                pages.filter { $0.value.use == .untagged }.keys.max { $0.index % 7 < $1.index % 7 })
            try tagPromised(owner)
        }
        try #require(promised(kind) == before - 1)
    }

    /// Allocates what is not promised: exactly if it can be had. Returns whether it was.
    mutating func attemptBesidePromises(_ use: PageUse, atomic: Bool) throws -> Bool {
        let isPossible = isPossible(besidePromises: use == .untagged ? 1 : 0, use == .tagged ? 1 : 0)
        let isReserved = allocator.reservedPages(use) > 0
        switch attempt(use, atomic: atomic) {
        case nil:
            try #require(isPossible || atomic && isReserved)
            return true
        case .reserveEmpty: try #require(atomic && !isReserved)
        case .noMemory(use): try #require(!atomic && !isPossible)
        case let error: Issue.record("\(String(describing: error))")
        }
        return false
    }
}
