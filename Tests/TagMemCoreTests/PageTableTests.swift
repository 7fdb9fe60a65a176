import TestSupport
import Testing

@testable import TagMemCore

@Suite("PageTable", .repeatable) struct PageTableTests {
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

    @Test("one page far out takes little, and no time in proportion to where it is")
    func farOut() throws {
        var table = PageTable()
        let last = PageTable.limit - 1
        table.extend(to: PageTable.limit)
        #expect(table.count == PageTable.limit && table.bytes == 0 && table.end == 0)
        table.insertPending(frame(3), at: last)
        table.setReady(last)
        #expect(table[last] == frame(3) && table.end == PageTable.limit && table.bytes < 4096)
        #expect(table[last - 1] == nil && table[0] == nil && table.frame(at: 1 << 30) == nil)
        #expect(table.next(.ready, from: 0, below: PageTable.limit, budget: 1) == .found(last))
        #expect(table.next(.hole, from: 5, below: PageTable.limit, budget: 1) == .found(5))
        #expect(table.next(.ready, from: 0, below: last) == .none)
        #expect(table.absentCount(in: 0..<PageTable.limit) == last)
        try table.checkInvariants()
        table.remove(last)
        table.shorten(to: 0)
        #expect(table.bytes == 0 && table.count == 0)
    }

    @Test("a copy is a copy, and the original is changed in place")
    func copies() {
        var table = PageTable()
        table.extend(to: 4000)
        for index in 0..<4000 { table.insertPending(frame(UInt32(index)), at: index) }
        func storage(_ table: PageTable) -> [Int] {
            table.chunks.map { chunk in
                unsafe chunk.entries.withUnsafeBufferPointer { Int(bitPattern: $0.baseAddress) }
            }
        }
        let before = storage(table)
        for index in 0..<4000 { table.setReady(index) }
        for index in 0..<4000 { table.relocate(index, to: frame(UInt32(index + 1))) }
        #expect(storage(table) == before)
        let copy = table
        table.relocate(700, to: frame(9))
        table.remove(2)
        #expect(copy[700] == frame(701) && copy[2] == frame(3) && table[700] == frame(9) && table[2] == nil)
        // Only the chunks that were changed are copied.
        #expect(zip(storage(table), before).count { $0 != $1 } == 2)
    }

    @Test("a long life against a plain array, dense, sparse and far out", arguments: [1, 40, 5000])
    func life(_ spread: Int) throws {
        try withSeed { generator in
            var table = PageTable()
            var model = PageTableModel()
            for step in 0..<6000 {
                let index =
                    Int.random(in: 0..<700, using: &generator) / 64 * 64 * spread
                    + Int.random(in: 0..<70, using: &generator)
                if index >= table.count {
                    let count = index + 1 + Int.random(in: 0..<1000, using: &generator)
                    table.extend(to: count)
                    model.count = max(model.count, count)
                }
                if let page = model.pages[index] {
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0:
                        table.remove(index)
                        model.pages[index] = nil
                    case 1:
                        table.setReady(index)
                        model.pages[index] = (page.frame, true)
                    default:
                        table.relocate(index, to: frame(UInt32(step)))
                        model.pages[index] = (UInt32(step), page.isReady)
                    }
                } else {
                    table.insertPending(frame(UInt32(step)), at: index)
                    model.pages[index] = (UInt32(step), false)
                }
                #expect(table.frame(at: index)?.rawValue == model.pages[index]?.frame)
                #expect((table[index] != nil) == (model.pages[index]?.isReady ?? false))
                guard step % 20 == 0 else { continue }
                try table.checkInvariants()
                try model.compare(table, &generator)
                if generator.oneIn(3) {
                    table.shorten(to: table.end)
                    model.count = (model.pages.keys.max() ?? -1) + 1
                }
                #expect(table.count == model.count)
            }
        }
    }
}

/// What a table must say, from a dictionary.
private struct PageTableModel {
    var pages: [Int: (frame: UInt32, isReady: Bool)] = [:]
    var count = 0

    func compare(_ table: PageTable, _ generator: inout SeededGenerator) throws {
        #expect(table.present == pages.count && table.end == (pages.keys.max() ?? -1) + 1)
        let lower = Int.random(in: 0...count, using: &generator)
        let range = lower..<Int.random(in: lower...count + 600, using: &generator)
        let inRange = pages.filter { range.contains($0.key) }
        #expect(table.absentCount(in: range) == range.count - inRange.count)
        let budget = Int.random(in: 1...3, using: &generator)
        #expect(try search(table, .present, range, budget) == inRange.keys.min())
        let ready = inRange.filter(\.value.isReady).keys
        #expect(try search(table, .ready, range, budget) == ready.min())
        let isReady = Set(ready)
        #expect(try search(table, .hole, range, budget) == range.first { !isReady.contains($0) })
    }

    /// Goes on until there is an answer. Every step gets further.
    private func search(
        _ table: PageTable, _ wanted: PageTable.Wanted, _ range: Range<Int>, _ budget: Int
    ) throws -> Int? {
        var from = range.lowerBound
        while true {
            switch table.next(wanted, from: from, below: range.upperBound, budget: budget) {
            case .found(let page): return page
            case .none: return nil
            case .goOn(let next):
                try #require(next > from)
                from = next
            }
        }
    }
}
