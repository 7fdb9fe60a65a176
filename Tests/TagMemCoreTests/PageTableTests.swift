import Testing

@testable import TagMemCore

@Suite("PageTable") struct PageTableTests {
    private func frame(_ number: UInt32) -> PageFrame { PageFrame(rawValue: number) }

    @Test("a pending page is there for the allocator alone, and becomes ready where it is")
    func pending() {
        var table = PageTable()
        #expect(table.count == 0 && table[0] == nil && table.frame(at: 0) == nil)
        table.extend(to: 3)
        table.insertPending(frame(0), at: 0)
        table.insertPending(frame(0x7fff_fffe), at: 2)
        #expect(table.present == 2 && table.count == 3)
        #expect(table[0] == nil && table.frame(at: 0) == frame(0))
        #expect(table[1] == nil && table.frame(at: 1) == nil)
        #expect(table[2] == nil && table.frame(at: 2) == frame(0x7fff_fffe))
        table.setReady(2)
        #expect(table[2] == frame(0x7fff_fffe) && table[0] == nil)
        #expect(table[3] == nil && table.frame(at: 3) == nil)
    }

    @Test("a page that moves stays pending, or ready")
    func relocate() {
        var table = PageTable()
        table.extend(to: 2)
        table.insertPending(frame(7), at: 0)
        table.insertPending(frame(8), at: 1)
        table.setReady(1)
        table.relocate(0, to: frame(1 << 30))
        table.relocate(1, to: frame(9))
        #expect(table[0] == nil && table.frame(at: 0) == frame(1 << 30))
        #expect(table[1] == frame(9))
    }

    @Test("room is made and forgotten, and pages keep their places")
    func room() {
        var table = PageTable()
        table.extend(to: 5)
        table.extend(to: 2)
        #expect(table.count == 5)
        table.insertPending(frame(1), at: 1)
        table.shorten(to: 9)
        table.shorten(to: 2)
        #expect(table.count == 2 && table.present == 1 && table.frame(at: 1) == frame(1))
        table.remove(1)
        #expect(table.present == 0 && table.frame(at: 1) == nil)
        table.insertPending(frame(2), at: 1)
        #expect(table.present == 1)
    }
}
