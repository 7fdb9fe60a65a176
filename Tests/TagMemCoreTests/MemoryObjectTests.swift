import Testing

@testable import TagMemCore

/// Objects with pages: what is where, and how far it goes.
@Suite("MemoryObject with pages") struct MemoryObjectTests {
    var object: MemoryObject
    let layout: BlockLayout
    let pageSize: UInt64

    init() throws { try self.init(pageSize: 16384) }

    /// Pages 0, 1, 2 and 3 lie at positions 4, 5 and 9 of a block, and nowhere; page 4 at 10, page 5 is pending.
    private init(pageSize: Int) throws {
        let size = UInt64(32 * pageSize)
        let map = try MemoryMap(base: PhysicalAddress(0x10_0000), size: size)
        layout = try BlockLayout(map: map, pageSize: pageSize)
        object = MemoryObject(.tagged, name: "tagged/a", dram: try DRAM(map: map), layout: layout)
        self.pageSize = UInt64(pageSize)
        object.pages.extend(to: 7)
        for (index, position) in [(0, 4), (1, 5), (2, 9), (4, 10), (5, 11)] {
            object.pages.insertPending(PageFrame(Place(BlockIndex(0), position), layout.geometry), at: index)
            if index != 5 { object.pages.setReady(index) }
        }
        object.size = 6 * self.pageSize
    }

    private func address(_ position: UInt64) -> PhysicalAddress {
        PhysicalAddress(0x10_0000 + position * pageSize)
    }

    /// What `extent` says, as text.
    private func extent(_ at: UInt64, _ limit: Int, _ bound: MemoryObject.Bound = .size) -> String {
        switch object.extent(at: at, limit: limit, within: bound) {
        case .memory(let run): "\(run.address) \(run.count)"
        case .unpopulated(let count): "zeros \(count)"
        case .nothing: "nothing"
        }
    }

    @Test("pages that lie one behind the other are one piece, and no others")
    func coalescing() {
        let page = Int(pageSize)
        #expect(extent(0, 10 * page) == "\(address(4)) \(2 * page)")
        #expect(extent(100, 10 * page) == "\(address(4) + 100) \(2 * page - 100)")
        #expect(extent(100, 50) == "\(address(4) + 100) 50")
        #expect(extent(pageSize - 1, 2) == "\(address(4) + (pageSize - 1)) 2")
        #expect(extent(2 * pageSize, 10 * page) == "\(address(9)) \(page)")
        #expect(extent(4 * pageSize, 10 * page) == "\(address(10)) \(page)")
    }

    @Test("what is not there, or not ready, is zeros as far as the size")
    mutating func holes() {
        let page = Int(pageSize)
        #expect(extent(3 * pageSize + 5, 10 * page) == "zeros \(page - 5)")
        #expect(extent(3 * pageSize + 5, 7) == "zeros 7")
        #expect(extent(5 * pageSize, 10 * page) == "zeros \(page)")
        object.size = 100 * pageSize
        #expect(extent(5 * pageSize, 1000 * page) == "zeros \(95 * page)")
        #expect(extent(100 * pageSize, 1) == "nothing")
    }

    @Test("an object may end within a page, and its tags within a byte")
    mutating func ends() {
        object.size = pageSize + 33
        let page = Int(pageSize)
        #expect(object.end == pageSize + 33 && object.tagBytes == pageSize / 32 + 2)
        #expect(object.sizeInPages == 2)
        #expect(extent(0, 10 * page) == "\(address(4)) \(page + 33)")
        #expect(extent(pageSize + 32, 10, .size) == "\(address(5) + 32) 1")
        #expect(extent(pageSize + 33, 10, .size) == "nothing")
        #expect(extent(pageSize + 32, 100, .tags) == "\(address(5) + 32) 32")
        #expect(extent(pageSize + 64, 100, .tags) == "nothing")
        #expect(extent(pageSize + 64, 10 * page, .pages) == "\(address(5) + 64) \(page - 64)")
        #expect(extent(pageSize + 64, 10 * page, .lastPage) == "\(address(5) + 64) \(page - 64)")
        #expect(extent(2 * pageSize, 1, .lastPage) == "nothing")
        #expect(extent(2 * pageSize, 1, .pages) == "\(address(9)) 1")
        #expect(extent(7 * pageSize, 1, .pages) == "nothing")
        object.size = 0
        #expect(extent(0, 1) == "nothing" && object.sizeInPages == 0 && object.tagBytes == 0)
        #expect(extent(0, 1, .tags) == "nothing")
    }

    @Test("SEEK_DATA and SEEK_HOLE see pages, and a hole behind the end")
    mutating func seek() {
        let hole = 3 * pageSize
        #expect(object.next(from: 5, memory: true) == .found(5))
        #expect(object.next(from: 5, memory: false) == .found(hole))
        #expect(object.next(from: hole + 7, memory: false) == .found(hole + 7))
        #expect(object.next(from: hole + 7, memory: true) == .found(hole + pageSize))
        // A pending page is none yet.
        #expect(object.next(from: hole + pageSize, memory: false) == .found(hole + 2 * pageSize))
        #expect(object.next(from: hole + 2 * pageSize, memory: true) == .none)
        object.size = 2 * pageSize + 9
        #expect(object.next(from: 0, memory: false) == .found(object.size))
        #expect(object.next(from: object.size - 1, memory: true) == .found(object.size - 1))
        #expect(object.next(from: object.size, memory: true) == .none)
        #expect(object.next(from: object.size, memory: false) == .none)
    }

    @Test("a search in a large object goes on where its budget ended")
    mutating func steps() {
        for index in 5..<5 + 512 * 20 {
            object.pages.extend(to: index + 1)
            if object.pages.frame(at: index) == nil {
                object.pages.insertPending(PageFrame(rawValue: UInt32(index)), at: index)
            }
            object.pages.setReady(index)
        }
        object.size = 512 * 30 * pageSize
        var from = 4 * pageSize
        var steps = 0
        while case .goOn(let next) = object.next(from: from, memory: false, budget: 3) {
            #expect(next > from)
            from = next
            steps += 1
        }
        #expect(steps == 7 - 1)
        #expect(object.next(from: from, memory: false, budget: 3) == .found((5 + 512 * 20) * pageSize))
        #expect(object.next(from: (5 + 512 * 20) * pageSize, memory: true) == .none)
    }

    @Test("an object is a value")
    func value() {
        var copy = object
        copy.mode = .async
        copy.hasAsynchronousFault = true
        copy.pages.remove(0)
        copy.size = 1
        #expect(object.mode == .sync && !object.hasAsynchronousFault)
        #expect(object.pages[0] != nil && object.size == 6 * pageSize && object.pages.present == 5)
        #expect(copy.pages[0] == nil && copy.mode == .async && copy.hasAsynchronousFault)
    }

    @Test("room is forgotten down to the last page, or what the size needs")
    mutating func shorten() {
        object.size = 0
        object.shortenPages()
        #expect(object.pages.count == 6)
        for index in [5, 4, 2] { object.pages.remove(index) }
        object.size = 3 * pageSize - 5
        object.shortenPages()
        #expect(object.pages.count == 3)
        object.size = 1
        object.shortenPages()
        #expect(object.pages.count == 2)
    }

    @Test("an object's use is that of its pages")
    mutating func use() {
        #expect(object.use == .tagged)
        object.kind = .untagged
        #expect(object.use == .untagged)
        #expect(MemoryObject.pages(for: 0, layout) == 0)
        #expect(MemoryObject.pages(for: 1, layout) == 1)
        #expect(MemoryObject.pages(for: pageSize, layout) == 1)
        #expect(MemoryObject.pages(for: pageSize + 1, layout) == 2)
    }
}
