import TagMemCore
import Testing

@testable import TagMemFS

/// Page cache mode: what the directory makes of pages that the kernel has from writes that it has not asked for yet.
@Suite("Page cache mode") struct PageCacheTests {
    private static let view0 = ObjectFixture.view(0)
    private static let view1 = ObjectFixture.view(1)

    private func makeFixture() throws -> ObjectFixture {
        let fixture = try ObjectFixture()
        fixture.directory.look { $0.usesPageCache = true }
        return fixture
    }

    @Test("a page that came back across its write is recalled after it", arguments: [AliasKind.mem, view0])
    func cameBackAcross(_ kind: AliasKind) throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 2)
        for offset in [0, 4096] as [UInt64] { try fixture.fill(kind, of: object, at: offset) }
        let write = fixture.begin(.cachedWrite, kind, of: object, at: 0, count: 16)
        #expect(write.access?.wasHeld == true)
        try fixture.writeBack(1, kind, of: object, at: 0)
        try fixture.end(write)
        #expect(try fixture.line(of: object, page: 0).isRecalled)
        // The other page did not, and the next write finds nothing that came back.
        for offset in [4096, 0] as [UInt64] {
            let next = fixture.begin(.cachedWrite, kind, of: object, at: offset, count: 16)
            try fixture.end(next)
        }
        #expect(try !fixture.line(of: object, page: 1).isRecalled)
        // Once more for what was written meanwhile.
        #expect(try fixture.recallAll(kind == .mem ? .sized : .free) == 2)
    }

    @Test("a page that is written as a whole and not asked for yet comes back as its tags say")
    func early() throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 2)
        try fixture.setTags(1, object, page: 1)
        for offset in [0, 4096] as [UInt64] {
            try fixture.writeBack(0x55, Self.view0, of: object, at: offset)
        }
        #expect(try fixture.isAll(0x55, object, page: 0) && fixture.isAll(0, object, page: 1))
        // What is asked for then overwrites it, and what the kernel has of it goes.
        let write = fixture.begin(.cachedWrite, Self.view0, of: object, at: 0, count: 4096)
        #expect(write.access?.wasHeld == false)
        try fixture.end(write)
        #expect(try fixture.line(of: object, page: 0).isRecalled)
    }

    @Test("a page that another file has is that file's alone", arguments: [AliasKind.mem, view0])
    func foreign(_ kind: AliasKind) throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let other: AliasKind = kind == .mem ? Self.view0 : .mem
        try fixture.fill(other, of: object, at: 0)
        try fixture.writeBack(0x55, kind, of: object, at: 0)
        #expect(try fixture.isAll(0, object, page: 0))
        try fixture.writeBack(0x66, other, of: object, at: 0)
        #expect(try fixture.isAll(0x66, object, page: 0))
    }

    @Test("a page that the kernel has from a write that was refused, or a part of it, is nobody's and goes")
    func refused() throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 1)
        for isPart in [false, true] {
            let write = fixture.begin(.cachedWrite, Self.view1, of: object, at: 0, count: 4096)
            let access = try #require(write.access)
            if isPart {
                fixture.directory.end(access, isWhole: false)
            } else {
                fixture.directory.endRefused(access)
            }
            try fixture.goOn()
            #expect(try fixture.line(of: object, page: 0).holder == 0)
            let node = NodeID(object: object.number, role: .view(AddressTag(truncating: 1)))
            #expect(fixture.directory.nextStray() == StrayPage(node: node, offset: 0))
            #expect(fixture.directory.nextStray() == nil)
            // What a program has stored to it meanwhile goes nowhere.
            try fixture.writeBack(0x55, Self.view1, of: object, at: 0)
            #expect(try fixture.isAll(0, object, page: 0))
        }
        // A page that was given counts again.
        try fixture.setTags(1, object, page: 0)
        try fixture.fill(Self.view1, of: object, at: 0)
        try fixture.writeBack(0x55, Self.view1, of: object, at: 0)
        #expect(try fixture.isAll(0x55, object, page: 0))
    }

    @Test(
        "what comes back of a page that shows a write too late leaves the write's bytes alone",
        arguments: [false, true])
    func unseen(_ isGivenAnew: Bool) throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let address = try fixture.address(of: object, page: 0)
        fixture.set(address, 4096, 1)
        try fixture.fill(Self.view0, of: object, at: 0)
        let write = fixture.begin(.cachedWrite, Self.view0, of: object, at: 100, count: 50)
        fixture.directory.noteUnseen(try #require(write.access))
        fixture.set(address + 100, 50, 2)
        try fixture.end(write)
        #expect(try fixture.line(of: object, page: 0).isRecalled)
        if isGivenAnew { try fixture.fill(Self.view0, of: object, at: 0) }
        // The page is as it was before; then a program has stored to it, to what the write was about, too.
        try fixture.writeBack(1, Self.view0, of: object, at: 0)
        #expect(try fixture.isAll(isGivenAnew ? 1 : 2, object, page: 0, 100..<150))
        try fixture.writeBack(3, Self.view0, of: object, at: 0)
        #expect(try fixture.isAll(3, object, page: 0))
        try fixture.recallAll()
        // Nothing is remembered when the page is gone.
        fixture.set(address + 100, 50, 2)
        try fixture.fill(Self.view0, of: object, at: 0)
        try fixture.writeBack(1, Self.view0, of: object, at: 0)
        #expect(try fixture.isAll(1, object, page: 0))
    }

    @Test("a page that was given after the kernel had sent the write may not show it")
    func filledAfter() throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 1)
        let alias = Alias(object: object, kind: .mem)
        for (fill, write, isAfter) in [(5, 4, true), (6, 7, false), (9, 8, true)] as [(UInt64, UInt64, Bool)]
        {
            var access = MemoryAccess(.fill(pages: 1), alias, at: 0, count: 4096)
            access.number = fill
            guard case .decided(.granted) = fixture.directory.begin(&access) else { throw Failure() }
            fixture.directory.end(access)
            access = MemoryAccess(.cachedWrite, alias, at: 8, count: 8)
            access.number = write
            guard case .decided(.granted) = fixture.directory.begin(&access) else { throw Failure() }
            #expect(fixture.directory.wasFilled(after: access) == isAfter)
            fixture.directory.end(access)
            #expect(!fixture.directory.wasFilled(after: access))
        }
    }

    private struct Failure: Error {}

    @Test("what a program stores to a gap is kept once the write that left it is answered")
    func growth() throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged)
        #expect(try fixture.resize(object, to: 100).isGranted)
        try fixture.fill(.mem, of: object, at: 0)
        // At the end, and behind a gap.
        for (offset, end) in [(100, 200), (300, 400)] as [(UInt64, UInt64)] {
            let write = fixture.begin(.cachedWrite, .mem, of: object, at: offset, count: 100)
            try fixture.goOn()
            // Of what comes back before, the gap may be from behind the end.
            try fixture.writeBack(5, .mem, of: object, at: 0)
            #expect(try fixture.isAll(5, object, page: 0, Int(offset)..<Int(end)))
            try fixture.end(write)
            #expect(fixture.memory(of: object).size == end)
        }
        #expect(try fixture.isAll(0, object, page: 0, 200..<300))
        try fixture.writeBack(6, .mem, of: object, at: 0)
        #expect(try fixture.isAll(6, object, page: 0, 0..<400))
        #expect(try fixture.line(of: object, page: 0).isRecalled)
        // Once more for what was written meanwhile.
        #expect(try fixture.recallAll(.sized) == 2)
    }

    @Test("a page that comes back while its write is judged, or is recalled, is judged by its tags")
    func unjudged() throws {
        let fixture = try makeFixture()
        let object = try fixture.make(.tagged, pages: 1)
        for tag in [1, 0] as [UInt64] {
            try fixture.setTags(tag, object, page: 0)
            let write = fixture.begin(.cachedWrite, Self.view1, of: object, at: 0, count: 4096)
            let access = try #require(write.access)
            try fixture.writeBack(0x55, Self.view1, of: object, at: 0)
            #expect(try fixture.isAll(tag == 1 ? 0x55 : 0, object, page: 0))
            if tag == 1 {
                try fixture.end(write)
                try fixture.recallAll()
                fixture.set(try fixture.address(of: object, page: 0), 4096, 0)
                continue
            }
            // Another file wants the page before the write is refused, and gets it when the kernel has let it go.
            let fill = fixture.begin(.fill(pages: 1), .mem, of: object, at: 0)
            #expect(fill.isWaiting)
            fixture.directory.endRefused(access)
            try fixture.goOn()
            try fixture.writeBack(0x55, Self.view1, of: object, at: 0)
            #expect(try fixture.isAll(0, object, page: 0))
            try fixture.recallAll()
            #expect(fill.isGranted)
        }
    }
}
