import TagMemCore
import Testing

@testable import TagMemFS

/// Sizes, holes, uses and removal of objects, one job at a time. `ObjectKernelTests` mixes them.
@Suite("Jobs on pages") struct PageJobTests {
    static let view0 = ObjectFixture.view(0)
    static let view1 = ObjectFixture.view(1)

    // MARK: Growth

    @Test("new pages are zero with tag 0, whatever was there", arguments: [4096, 16384, 65536], [1, 2])
    func zeroed(_ pageSize: Int, _ blockSize: Int) throws {
        let fixture = try ObjectFixture(pageSize: pageSize, blockSize: blockSize)
        for region in fixture.dram.map.regions { fixture.set(region.start, Int(region.size), 0xff) }
        let tagged = try fixture.make(.tagged, pages: 3)
        let rest = fixture.directory.withPages { $0.allocator.availableUntagged }
        let untagged = try fixture.make(.untagged, pages: rest)
        for page in 0..<3 {
            #expect(try fixture.isAll(0, tagged, page: page))
            #expect(try fixture.hasTag(0, tagged, page: page))
        }
        for page in 0..<rest { #expect(try fixture.isAll(0, untagged, page: page)) }
    }

    @Test("growth is all or nothing")
    func noSpace() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 5)
        for size in [fixture.total, 65, 1 << 30] {
            #expect(try fixture.resize(object, pages: size).error == .noSpace)
            #expect(fixture.memory(of: object).size == 5 * 4096)
            #expect(fixture.used == 5)
        }
        #expect(fixture.record(object) { $0.reshaper == nil })
        #expect(try fixture.resize(object, pages: 64).isGranted)
        // Pinned pages that are in the way are found while pages are got: what was got is given back.
        let other = try fixture.make(.untagged)
        #expect(try fixture.resize(object, pages: 3).isGranted)
        let lent = fixture.directory.withPages { $0.allocator.availableUntagged }
        #expect(try fixture.resize(other, pages: lent).isGranted)
        #expect(fixture.used == 3 + lent)
    }

    @Test("of two growths that each fit, one succeeds")
    func twoGrowths() throws {
        let fixture = try ObjectFixture(blocks: 32)
        let objects = [try fixture.make(.untagged), try fixture.make(.untagged)]
        let pages = fixture.directory.withPages { $0.allocator.availableUntagged } * 3 / 5
        let growths = objects.map { object in
            let growth = ObjectFixture.Operation()
            fixture.directory.resize(object, to: UInt64(pages) * fixture.pageSize, then: growth)
            return growth
        }
        try fixture.goOn()
        #expect(growths.count { $0.isGranted } == 1)
        #expect(growths.count { $0.error == .noSpace } == 1)
        #expect(fixture.used == pages)
    }

    @Test("growth waits for phys to give a page back that it has cached")
    func waitsForPhysical() throws {
        let fixture = try ObjectFixture(blocks: 1)
        for page in 0..<33 { try fixture.fill(.mem, of: .physical, at: UInt64(page) * 4096) }
        let object = try fixture.make(.untagged)
        let growth = try fixture.resize(object, pages: 1)
        #expect(growth.isWaiting)
        // It changes nothing before it is done, and nobody else changes the object meanwhile.
        let second = try fixture.resize(object, pages: 2)
        #expect(fixture.memory(of: object).size == 0)
        #expect(try fixture.recallAll() > 0)
        #expect(growth.isGranted && second.isGranted)
        #expect(fixture.memory(of: object).size == 8192)
    }

    @Test("an atomic object never waits, and has the pages of the reserve")
    func atomic() throws {
        let fixture = try ObjectFixture(blocks: 1)
        let object = try fixture.make(.untagged)
        fixture.record(object) { $0.isAtomic = true }
        fixture.directory.update { state in
            state.withMover { allocator, mover in
                allocator.setReserveWatermark(.untagged, to: 2)
                try? allocator.refillReserve(with: &mover)
            }
        }
        let other = try fixture.make(.untagged, pages: 31)
        #expect(try fixture.resize(object, pages: 2).isGranted)
        #expect(try fixture.resize(object, pages: 3).error == .noSpace)
        // Pages that are about to be free are not waited for either.
        let read = fixture.begin(.read, .mem, of: other, at: 0)
        #expect(try fixture.resize(other, pages: 0).isGranted)
        #expect(fixture.used == 3)
        let most = try fixture.resize(object, pages: 33)
        #expect(most.error == .noSpace)
        try fixture.end(read)
        #expect(try fixture.resize(object, pages: 33).isGranted)
    }

    @Test("what shows the end is taken back before an object grows")
    func growthUnderTagPages() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged)
        #expect(try fixture.resize(object, to: 5000).isGranted)
        try fixture.fill(.tags, of: object, at: 0)
        try fixture.fill(Self.view0, of: object, at: 4096)
        let growth = try fixture.resize(object, pages: 4)
        #expect(growth.isWaiting)
        #expect(fixture.memory(of: object).size == 5000)
        // The kernel may ask for it again at any time: it holds the page's lock.
        let refill = fixture.begin(.fill(pages: 1), .tags, of: object, at: 0)
        #expect(refill.isGranted)
        try fixture.end(refill)
        try fixture.recallAll()
        #expect(growth.isGranted)
        let write = fixture.begin(.write, .tagsHex, of: object, at: 3 * 256)
        #expect(write.isGranted)
    }

    @Test("a fill of the last page that waits while its object grows is of the page as it is then")
    func growthUnderFill() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged)
        #expect(try fixture.resize(object, to: 5000).isGranted)
        try fixture.fill(.mem, of: object, at: 4096)
        let fill = fixture.begin(.fill(pages: 1), Self.view0, of: object, at: 4096)
        #expect(fill.isWaiting)
        // The growth waits for no recall of mem, the fill does.
        #expect(try fixture.resize(object, to: 9000).isGranted)
        #expect(fill.isWaiting)
        try fixture.recallAll(.sized)
        #expect(fill.isGranted)
        #expect(fill.access?.count == 4096)
    }

    @Test("a page of mem is held as a whole also where its lines are small", arguments: [4096, 16384])
    func wholePages(_ pageSize: Int) throws {
        let fixture = try ObjectFixture(blocks: 1, pageSize: pageSize)
        // Untagged pages lie in Tag Pages first.
        let object = try fixture.make(.untagged)
        #expect(try fixture.resize(object, to: 100).isGranted)
        try fixture.fill(.mem, of: object, at: 0)
        #expect(try fixture.resize(object, to: 4096).isGranted)
        let write = fixture.begin(
            .write, .mem, of: .physical, at: try fixture.address(of: object, page: 0).rawValue + 4000)
        #expect(write.isWaiting)
        #expect(try fixture.recallAll(.sized) == 1)
        #expect(write.isGranted)
    }

    @Test(
        "what is cut off of a page in tag storage is tags of others: views of those are recalled first",
        arguments: [false, true])
    func cutTags(_ punches: Bool) throws {
        let fixture = try ObjectFixture(blocks: 1)
        // Untagged pages lie in Tag Pages first.
        let object = try fixture.make(.untagged, pages: 1)
        let address = try fixture.address(of: object, page: 0)
        try #require(address.rawValue == 32 * 4096)
        fixture.set(address + 2048, 128, 0x11)
        // The page whose tags these are.
        let tagged: UInt64 = 2048 * 32
        try fixture.fill(Self.view1, of: .physical, at: tagged)
        let change =
            try punches
            ? fixture.change { fixture.directory.start(PunchJob(object, 100..<4000), then: $0) }
            : fixture.resize(object, to: 100)
        #expect(change.isWaiting)
        #expect(try fixture.isAll(0x11, object, page: 0, 2048..<2176))
        #expect(try fixture.recallAll() == 1)
        #expect(change.isGranted)
        #expect(try fixture.isAll(0, object, page: 0, 2048..<2176))
        // Elsewhere nobody waits.
        try fixture.fill(Self.view0, of: .physical, at: tagged)
        #expect(try fixture.resize(object, pages: 0).isGranted)
    }

    // MARK: Shrinking

    @Test("views and tags of what is cut off are recalled before the answer, mem is not")
    func shrink() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 4)
        try fixture.fill(.mem, of: object, at: 8192)
        try fixture.fill(Self.view0, of: object, at: 12288)
        let shrink = try fixture.resize(object, pages: 2)
        #expect(shrink.isWaiting)
        #expect(fixture.directory.nextRecall(.sized) == nil)
        #expect(try fixture.recallAll() == 1)
        #expect(shrink.isGranted)
        #expect(fixture.used == 2)
        #expect(fixture.record(object) { $0.recalledViewLines } == 0)
        #expect(fixture.directory.nextRecall(.free) == nil)
    }

    @Test("what lies behind the end is zero with tag 0 when the object grows again")
    func tail() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 2)
        fixture.set(try fixture.address(of: object, page: 0), 4096, 7)
        try fixture.setTags(5, object, page: 0)
        #expect(try fixture.resize(object, to: 1001).isGranted)
        #expect(try fixture.resize(object, pages: 1).isGranted)
        #expect(try fixture.isAll(7, object, page: 0, 0..<1001))
        #expect(try fixture.isAll(0, object, page: 0, 1001..<4096))
        let address = try fixture.address(of: object, page: 0)
        #expect(fixture.dram.allocationTag(at: address + 1000).rawValue == 5)
        #expect(fixture.dram.allocationTag(at: address + 1008).rawValue == 0)
    }

    @Test(
        "pages that somebody copies stay until the copy is done, also if the object grows and shrinks again")
    func copiedPages() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.untagged, pages: 4)
        let read = fixture.begin(.read, .mem, of: object, at: 8192, count: 8192)
        #expect(try fixture.resize(object, pages: 1).isGranted)
        #expect(fixture.used == 3)
        #expect(try fixture.resize(object, pages: 4).isGranted)
        #expect(fixture.used == 6)
        #expect(try fixture.resize(object, pages: 1).isGranted)
        try fixture.end(read)
        #expect(fixture.used == 1)
    }

    @Test("growth waits for pages that are about to be free")
    func waitsForReleases() throws {
        let fixture = try ObjectFixture(blocks: 1)
        let object = try fixture.make(.untagged, pages: 33)
        let read = fixture.begin(.read, .mem, of: object, at: 0)
        #expect(try fixture.resize(object, pages: 0).isGranted)
        let other = try fixture.make(.untagged)
        let growth = try fixture.resize(other, pages: 33)
        #expect(growth.isWaiting)
        try fixture.end(read)
        #expect(growth.isGranted)
    }

    @Test("a size change waits for copies of the last page, and for no recall of mem")
    func busyTail() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.untagged, pages: 1)
        try fixture.fill(.mem, of: object, at: 0)
        // `phys` wants the page: the recall waits for the size change to be answered.
        let read = fixture.begin(.read, .mem, of: object, at: 0)
        let write = fixture.begin(
            .write, .mem, of: .physical, at: try fixture.address(of: object, page: 0).rawValue)
        #expect(write.isWaiting)
        #expect(fixture.directory.nextRecall(.sized) != nil)
        let shrink = try fixture.resize(object, to: 100)
        #expect(shrink.isWaiting)
        try fixture.end(read)
        #expect(shrink.isGranted)
        fixture.directory.finishRecall(.sized)
        #expect(write.isGranted)
    }

    @Test("a recall of what is cut off that is under way ends without effect")
    func cutRecalls() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 3)
        for page in 0..<3 { try fixture.fill(.mem, of: object, at: UInt64(page) * 4096) }
        let write = fixture.begin(.write, Self.view0, of: object, at: 0, count: 3 * 4096)
        let recall = try #require(fixture.directory.nextRecall(.sized))
        #expect(recall.length == 3 * 4096)
        #expect(try fixture.resize(object, pages: 1).isGranted)
        #expect(fixture.used == 1)
        // What waited is about what is left.
        #expect(write.isWaiting)
        #expect(try fixture.resize(object, pages: 3).isGranted)
        try fixture.fill(.mem, of: object, at: 4096)
        fixture.directory.finishRecall(.sized)
        try fixture.goOn()
        let holder = Alias(object: object, kind: .mem).holder
        #expect(try fixture.line(of: object, page: 0).holder == 0)
        #expect(try fixture.line(of: object, page: 1).holder == holder)
        #expect(write.isWaiting)
        try fixture.recallAll(.sized)
        #expect(write.access?.count == 3 * 4096)
    }

    @Test("a job that was resumed does not wait for recalls that are done")
    func resumed() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let read = fixture.begin(.read, .mem, of: object, at: 0)
        let shrink = try fixture.resize(object, to: 100)
        #expect(shrink.isWaiting)
        try fixture.end(read)
        #expect(shrink.isGranted)
    }

    @Test("who waits and is refused then leaves nothing behind at the line where it waited")
    func refusedWaiter() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 2)
        try fixture.fill(Self.view0, of: object, at: 4096)
        let write = fixture.begin(.write, .tags, of: object, at: 128, count: 128)
        #expect(write.isWaiting)
        // The invariants are looked at after each step: nobody waits at the page of the view any more.
        let shrink = try fixture.resize(object, pages: 1)
        #expect(write.error == .pastEnd)
        try fixture.recallAll()
        #expect(shrink.isGranted)
    }

    enum Growth: CaseIterable { case truncate, fallocate, write }

    @Test(
        "what was stored behind the end, in the page of a mapping, is zero when the object has grown",
        arguments: Growth.allCases)
    func storedBehindEnd(_ growth: Growth) throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.untagged)
        #expect(try fixture.resize(object, to: 100).isGranted)
        try fixture.fill(.mem, of: object, at: 0)
        let grown =
            switch growth {
            case .truncate: try fixture.resize(object, to: 4096)
            case .fallocate:
                try fixture.change {
                    fixture.directory.populate(object, 0..<4096, keepsSize: false, then: $0)
                }
            case .write: fixture.begin(.write, .mem, of: object, at: 4000, count: 96)
            }
        try fixture.goOn()
        // truncate(2) makes the kernel drop the page once it is answered. Nobody else does that.
        #expect(grown.isGranted == (growth == .truncate))
        // The kernel may know the new size when it writes the page back.
        try fixture.writeBack(0x55, .mem, of: object, at: 0)
        #expect(try fixture.isAll(0x55, object, page: 0, 0..<100))
        #expect(try fixture.isAll(0, object, page: 0, 100..<4096))
        #expect(try fixture.recallAll(.sized) == (growth == .truncate ? 0 : 1))
        #expect(grown.isGranted)
        if growth == .write { try fixture.end(grown) }
        // What is stored after that is the object's.
        try fixture.fill(.mem, of: object, at: 0)
        try fixture.writeBack(0x66, .mem, of: object, at: 0)
        #expect(try fixture.isAll(0x66, object, page: 0))
    }

    @Test("a page that was written as a whole comes back as a whole, whatever was behind the end before")
    func wholeWrite() throws {
        let fixture = try ObjectFixture()
        fixture.directory.look { $0.usesPageCache = true }
        let object = try fixture.make(.untagged)
        #expect(try fixture.resize(object, to: 100).isGranted)
        // The kernel has dropped the page by the time of the write, which the directory does not know.
        try fixture.fill(.mem, of: object, at: 0)
        #expect(try fixture.resize(object, to: 4096).isGranted)
        let write = fixture.begin(.cachedWrite, .mem, of: object, at: 0, count: 4096)
        #expect(write.isGranted)
        try fixture.end(write)
        try fixture.writeBack(7, .mem, of: object, at: 0)
        #expect(try fixture.isAll(7, object, page: 0))
    }

    // MARK: Holes

    @Test("an access that waits sees pages that a hole has got meanwhile")
    func filledHole() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.untagged, pages: 2)
        #expect(
            try fixture.change { fixture.directory.start(PunchJob(object, 4096..<8192), then: $0) }.isGranted)
        let first = fixture.begin(.write, .mem, of: object, at: 0, count: 4096)
        let read = fixture.begin(.read, .mem, of: object, at: 0, count: 8192)
        #expect(first.isGranted && read.isWaiting)
        let second = fixture.begin(.write, .mem, of: object, at: 4096, count: 4096)
        try fixture.goOn()
        fixture.set(try fixture.address(of: object, page: 1), 4096, 7)
        if second.isGranted { try fixture.end(second) }
        try fixture.end(first)
        let pieces = try #require(read.access).footprint.pieces
        let isMemory = pieces.indices.allSatisfy { if case .memory = pieces[$0] { true } else { false } }
        #expect(isMemory, "what the write has done is not read")
    }

    @Test("a hole takes whole pages back, and sets the rest of the range to zero")
    func punch() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 4)
        for page in 0..<4 { fixture.set(try fixture.address(of: object, page: page), 4096, 9) }
        for page in 0..<4 { try fixture.setTags(3, object, page: page) }
        try fixture.fill(.mem, of: object, at: 4096)
        try fixture.fill(.tags, of: object, at: 0)
        let punch = try fixture.change { fixture.directory.start(PunchJob(object, 4000..<12289), then: $0) }
        #expect(punch.isWaiting)
        #expect(try fixture.recallAll(.free) + fixture.recallAll(.sized) == 2)
        #expect(punch.isGranted)
        #expect(fixture.memory(of: object).pages.present == 2 && fixture.memory(of: object).size == 4 * 4096)
        #expect(
            try fixture.isAll(9, object, page: 0, 0..<4000) && fixture.isAll(0, object, page: 0, 4000..<4096))
        #expect(try fixture.isAll(0, object, page: 3, 0..<1) && fixture.isAll(9, object, page: 3, 1..<4096))
        #expect(try fixture.hasTag(3, object, page: 0) && fixture.hasTag(3, object, page: 3))
        let populate = try fixture.change {
            fixture.directory.populate(object, 0..<4 * 4096, keepsSize: true, then: $0)
        }
        #expect(populate.isGranted)
        #expect(try fixture.isAll(0, object, page: 1) && fixture.hasTag(0, object, page: 2))
    }

    // MARK: Uses

    @Test("contents stay when an object turns tagged, and tags start at 0", arguments: [4096, 16384])
    func tag(_ pageSize: Int) throws {
        let fixture = try ObjectFixture(pageSize: pageSize)
        for region in fixture.dram.map.regions { fixture.set(region.start, Int(region.size), 0xff) }
        let object = try fixture.make(.untagged, pages: 60)
        for page in 0..<60 { fixture.set(try fixture.address(of: object, page: page), pageSize, UInt8(page)) }
        try fixture.fill(.mem, of: object, at: 0)
        #expect(try fixture.change { fixture.directory.setUse(.tagged, of: object, then: $0) }.isGranted)
        for page in 0..<60 {
            #expect(
                try fixture.isAll(UInt8(page), object, page: page) && fixture.hasTag(0, object, page: page))
        }
        // The page that the kernel has is still known, where it is now.
        let holder = Alias(object: object, kind: .mem).holder
        #expect(try fixture.line(of: object, page: 0).holder == holder)
    }

    @Test("an object that cannot turn tagged stays as it was")
    func tagWithoutSpace() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.untagged, pages: 66)
        fixture.set(try fixture.address(of: object, page: 65), 4096, 1)
        let change = try fixture.change { fixture.directory.setUse(.tagged, of: object, then: $0) }
        #expect(change.error == .noSpace)
        #expect(fixture.memory(of: object).kind == .untagged && fixture.record(object) { $0.reshaper == nil })
        #expect(fixture.directory.withPages { $0.allocator.taggedPages } == 0)
        #expect(try fixture.isAll(1, object, page: 65))
    }

    @Test("what was stored through a view is kept when the object turns untagged")
    func untag() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 2)
        try fixture.fill(Self.view0, of: object, at: 4096)
        let read = fixture.begin(.read, Self.view0, of: object, at: 0)
        let change = try fixture.change { fixture.directory.setUse(.untagged, of: object, then: $0) }
        #expect(change.isWaiting)
        #expect(fixture.begin(.fill(pages: 1), Self.view0, of: object, at: 0).error == .notTaggable)
        #expect(fixture.directory.nextRecall() != nil)
        try fixture.writeBack(0x33, Self.view0, of: object, at: 4096)
        fixture.directory.finishRecall()
        #expect(change.isWaiting)
        try fixture.end(read)
        #expect(change.isGranted)
        #expect(fixture.memory(of: object).kind == .untagged)
        #expect(try fixture.isAll(0x33, object, page: 1))
        #expect(fixture.directory.withPages { $0.allocator.taggedPages } == 0)
    }

    @Test("one change of an object at a time")
    func reshaper() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 2)
        try fixture.fill(Self.view0, of: object, at: 0)
        let untag = try fixture.change { fixture.directory.setUse(.untagged, of: object, then: $0) }
        let tag = try fixture.change { fixture.directory.setUse(.tagged, of: object, then: $0) }
        let growth = try fixture.resize(object, pages: 3)
        let shrink = try fixture.change { fixture.directory.resize(object, to: 4096, then: $0) }
        let punch = try fixture.change { fixture.directory.start(PunchJob(object, 0..<4096), then: $0) }
        let all = [untag, tag, growth, shrink, punch]
        #expect(all.allSatisfy { $0.isWaiting })
        try fixture.recallAll()
        #expect(all.allSatisfy { $0.isGranted })
        #expect(fixture.memory(of: object).kind == .tagged && fixture.memory(of: object).pages.present == 0)
    }

    // MARK: Compaction and removal

    @Test("pages move under what the kernel has of them, and not while they are copied")
    func compact() throws {
        let fixture = try ObjectFixture(blocks: 3)
        let first = try fixture.make(.tagged, pages: 32)
        let second = try fixture.make(.tagged, pages: 2)
        #expect(try fixture.resize(first, pages: 30).isGranted)
        try fixture.fill(Self.view0, of: second, at: 0)
        try fixture.fill(.mem, of: second, at: 4096)
        let before = try fixture.address(of: second, page: 0)
        let read = fixture.begin(.read, .mem, of: second, at: 4096)
        let compaction = try fixture.change {
            fixture.directory.start(CompactJob(), then: $0)
        }
        #expect(compaction.isWaiting)
        let write = fixture.begin(.write, .mem, of: second, at: 0)
        #expect(write.isWaiting)
        try fixture.end(read)
        #expect(compaction.isGranted)
        #expect(try fixture.address(of: second, page: 0) != before)
        // Who waited is resolved anew, and finds the page that the view has where it is now.
        #expect(write.isWaiting)
        try fixture.recallAll()
        guard case .memory(let address, 1)? = write.access?.footprint.pieces[0] else {
            Issue.record("\(write.outcomes)")
            return
        }
        #expect(address == (try fixture.address(of: second, page: 0)))
    }

    @Test("an object's number is its own until its last page is free")
    func removal() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 3)
        let copied = try fixture.address(of: object, page: 2)
        let read = fixture.begin(.read, .mem, of: .physical, at: copied.rawValue)
        #expect(try fixture.resize(object, pages: 2).isGranted)
        try fixture.fill(.mem, of: object, at: 0)
        #expect(fixture.directory.removed(object))
        let released = ObjectFixture.Operation()
        let release = try fixture.change {
            fixture.directory.release(object, then: $0, whenReleased: released)
        }
        #expect(release.isWaiting)
        #expect(try fixture.recallAll() == 1)
        #expect(release.isGranted && released.isWaiting)
        #expect(try fixture.make(.untagged).slot != object.slot)
        try fixture.end(read)
        #expect(released.isGranted)
        #expect(fixture.used == 0)
        #expect(try fixture.make(.untagged).slot == object.slot)
    }

    @Test("an object may be gone before a recall that was under way when it was removed")
    func removalBesideRecall() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let address = try fixture.address(of: object, page: 0)
        try fixture.fill(.mem, of: object, at: 0)
        let write = fixture.begin(.write, .mem, of: .physical, at: address.rawValue)
        #expect(write.isWaiting)
        #expect(try #require(fixture.directory.nextRecall(.sized)).object == object)
        #expect(fixture.directory.removed(object))
        let released = ObjectFixture.Operation()
        let release = try fixture.change {
            fixture.directory.release(object, then: $0, whenReleased: released)
        }
        #expect(try fixture.recallAll() == 1)
        #expect(write.isGranted)
        try fixture.end(write)
        #expect(release.isGranted && released.isGranted)
        fixture.directory.finishRecall(.sized)
        try fixture.goOn()
        #expect(fixture.used == 0)
    }

    @Test("draining fails jobs that wait")
    func drain() throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 2)
        try fixture.fill(Self.view0, of: object, at: 0)
        let untag = try fixture.change { fixture.directory.setUse(.untagged, of: object, then: $0) }
        let growth = try fixture.resize(object, pages: 3)
        #expect(untag.isWaiting && growth.isWaiting)
        fixture.directory.drain()
        try fixture.goOn()
        #expect(untag.error == .unmounting && growth.error == .unmounting)
        #expect(try fixture.resize(object, pages: 0).error == .unmounting)
    }

    // MARK: Lines

    @Test("as many copies of a line at a time as can be counted", arguments: [AliasKind.mem, view0])
    func manyReaders(_ kind: AliasKind) throws {
        let fixture = try ObjectFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let most = LineState.maximumReaders - LineState.writebackRoom
        let reads = (0..<most + 100).map { _ in fixture.begin(.read, kind, of: object, at: 0) }
        #expect(reads.count { $0.isGranted } == most)
        // A write-back has room beside them.
        try fixture.writeBack(1, .mem, of: object, at: 0)
        var left = reads
        while !left.isEmpty {
            let granted = left.filter { $0.isGranted }
            try #require(!granted.isEmpty && granted.count <= most)
            for read in granted { fixture.directory.end(try #require(read.access)) }
            left.removeAll { $0.isGranted }
            try fixture.goOn()
        }
    }
}
