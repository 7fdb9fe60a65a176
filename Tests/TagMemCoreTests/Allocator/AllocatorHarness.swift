import Testing

@testable import TagMemCore

/// An allocator on simulated memory, with a model of what its users must see.
struct AllocatorHarness: ~Copyable {
    struct Page {
        var use: PageUse
        var value: Int
        var tag: Int
        var isPinned = false
    }

    var allocator: PageAllocator
    var memory: SimulatedMemory
    /// By owner; its frame is in `memory.frames`.
    var pages: [PageOwner: Page] = [:]
    private var nextOwner: UInt32 = 0

    init(blocks: Int, dataPages: Int = 32, tagPages: Int = 1) throws {
        let layout = try BlockLayout(
            blocks: blocks, geometry: BlockGeometry(dataPages: dataPages, tagPages: tagPages))
        allocator = try PageAllocator(layout)
        memory = SimulatedMemory(layout)
    }

    var blocks: Int { allocator.layout.blocks }

    func count(_ use: PageUse) -> Int { pages.values.count { $0.use == use } }

    /// The design's formula, written out.
    func isPossible(untagged: Int, tagged: Int) -> Bool {
        let d = allocator.geometry.dataPages
        let g = allocator.geometry.tagPages
        let needed = tagged == 0 ? 0 : (tagged - 1) / d + 1
        return untagged + tagged + g * needed <= (d + g) * blocks
    }

    var used: (untagged: Int, tagged: Int) { (allocator.untaggedPages, allocator.taggedPages) }

    /// Whether one more page must be possible.
    func mustSucceed(_ use: PageUse) -> Bool {
        isPossible(
            untagged: used.untagged + (use == .untagged ? 1 : 0),
            tagged: used.tagged + (use == .tagged ? 1 : 0))
    }

    mutating func newOwner() -> PageOwner {
        nextOwner += 1
        return PageOwner(object: nextOwner % 5, index: nextOwner)
    }

    /// Allocates, checks that the page is zero, and fills it.
    mutating func allocate(_ use: PageUse, atomic: Bool = false) throws(AllocationError) {
        let owner = newOwner()
        memory.hasGivenUp = false
        let frame =
            atomic
            ? try allocator.allocateAtomic(use, for: owner, with: &memory)
            : try allocator.allocate(use, for: owner, with: &memory)
        adopt(owner, frame, use)
    }

    /// Takes a promised page.
    mutating func allocatePromised(_ use: PageUse) throws(AllocationError) {
        let owner = newOwner()
        memory.hasGivenUp = false
        adopt(owner, try allocator.allocatePromised(use, for: owner, with: &memory), use)
    }

    /// Turns a page tagged, as was promised.
    mutating func tagPromised(_ owner: PageOwner) throws {
        let frame = try #require(memory.frames[owner])
        memory.hasGivenUp = false
        try expectUse(owner, .tagged, at: try allocator.tagPromised(frame, with: &memory))
    }

    /// Allocates; the error if there was one.
    mutating func attempt(_ use: PageUse, atomic: Bool = false) -> AllocationError? {
        do throws(AllocationError) {
            try allocate(use, atomic: atomic)
            return nil
        } catch {
            return error
        }
    }

    private mutating func adopt(_ owner: PageOwner, _ frame: PageFrame, _ use: PageUse) {
        #expect(memory.contents[Int(frame.rawValue)] == 0, "the page is not zero")
        if use == .tagged { #expect(memory.tags[Int(frame.rawValue)] == 0, "the tags are not 0") }
        #expect(!memory.frames.values.contains(frame), "the page belongs to somebody else")
        memory.frames[owner] = frame
        pages[owner] = Page(use: use, value: 0, tag: 0)
        fill(owner)
    }

    /// Gives a page contents, and tags, that no other has.
    mutating func fill(_ owner: PageOwner) {
        guard var page = pages[owner], let frame = memory.frames[owner] else { return }
        page.value = Int(owner.index) * 2 + 1000
        memory.store(page.value, in: frame)
        if page.use == .tagged {
            page.tag = Int(owner.index) * 3 + 1000
            memory.storeTags(page.tag, of: frame)
        }
        pages[owner] = page
    }

    mutating func free(_ owner: PageOwner) throws {
        let frame = try #require(memory.frames[owner])
        allocator.free(frame, with: &memory)
        memory.frames[owner] = nil
        pages[owner] = nil
    }

    mutating func setPinned(_ owner: PageOwner, _ isPinned: Bool) throws {
        let frame = try #require(memory.frames[owner])
        if isPinned { allocator.pin(frame) } else { allocator.unpin(frame) }
        pages[owner]?.isPinned = isPinned
    }

    mutating func setUse(_ owner: PageOwner, _ use: PageUse) throws {
        let frame = try #require(memory.frames[owner])
        memory.hasGivenUp = false
        let moved = try allocator.setUse(use, of: frame, with: &memory)
        try expectUse(owner, use, at: moved)
    }

    private mutating func expectUse(_ owner: PageOwner, _ use: PageUse, at moved: PageFrame) throws {
        #expect(memory.frames[owner] == moved, "the owner was not told")
        if use == .tagged { #expect(memory.tags[Int(moved.rawValue)] == 0, "the tags are not 0") }
        let value = pages[owner]?.value
        #expect(memory.contents[Int(moved.rawValue)] == value, "the contents were lost")
        pages[owner]?.use = use
        fill(owner)
    }

    /// Contents and tags of every page, the reverse map, and the invariants.
    func verify(_ note: @autoclosure () -> String = "") throws {
        try allocator.checkInvariants()
        var wrong = memory.complaints
        for (owner, page) in pages {
            guard let frame = memory.frames[owner] else {
                wrong.append("\(owner) has no frame")
                continue
            }
            if memory.contents[Int(frame.rawValue)] != page.value { wrong.append("contents of \(owner)") }
            if page.use == .tagged, memory.tags[Int(frame.rawValue)] != page.tag {
                wrong.append("tags of \(owner)")
            }
            guard let known = allocator.page(at: frame), known.owner == owner, known.use == page.use,
                known.isPinned == page.isPinned
            else {
                wrong.append("the reverse map of \(owner)")
                continue
            }
        }
        let reserved = (allocator.reservedPages(.untagged), allocator.reservedPages(.tagged))
        if used.untagged != count(.untagged) + reserved.0 { wrong.append("untagged count") }
        if used.tagged != count(.tagged) + reserved.1 { wrong.append("tagged count") }
        if memory.cleans != allocator.counters.cleansForTags + allocator.counters.cleansForData {
            wrong.append("clean counters")
        }
        try #require(wrong.isEmpty, "\(wrong.prefix(5)) \(note())")
    }

    /// Compaction by steps of `budget`, each bounded, to the end.
    mutating func compact(budget: Int) throws {
        var steps = 0
        while !allocator.isCompact {
            let before = memory.moves
            memory.hasGivenUp = false
            let used = allocator.compactStep(budget: budget, with: &memory)
            #expect(used <= budget && memory.moves - before <= budget, "a step exceeded its budget")
            steps += 1
            try #require(steps < 100_000, "compaction does not end")
        }
    }

    /// ceil(t / d) blocks are in tagged use, and not one more.
    func expectFrugal() {
        let d = allocator.geometry.dataPages
        #expect(allocator.taggedBlocks == (allocator.taggedPages + d - 1) / d)
    }
}
