import TestSupport
import Testing

@testable import TagMemCore

@Suite("Block layout") struct BlockLayoutTests {
    /// Two regions of data with a hole between them, whose tags lie in one storage, the second's first.
    static func map(_ unit: UInt64) throws -> MemoryMap {
        let at = { PhysicalAddress($0 * unit) }
        return try MemoryMap(regions: [
            .init(start: at(2), size: 2 * unit, kind: .data(tagBase: at(8) + unit * 3 / 32)),
            .init(start: at(5), size: 3 * unit, kind: .data(tagBase: at(8))),
            .init(start: at(8), size: unit, kind: .tagStorage),
        ])
    }

    @Test(
        "every page has one address, and the tags of a block lie in its Tag Pages",
        arguments: [4096, 16384, 65536],
        [1, 2, 4])
    func addresses(_ pageSize: Int, _ blockSize: Int) throws {
        let unit = UInt64(32 * pageSize * blockSize)
        let map = try Self.map(unit)
        let layout = try BlockLayout(map: map, pageSize: pageSize, blockSize: blockSize)
        let dram = try DRAM(map: map)
        #expect(layout.blocks == 5)
        var seen: Set<PhysicalAddress> = []
        for index in 0..<layout.blocks {
            let block = BlockIndex(UInt32(index))
            for position in 0..<layout.geometry.pages {
                let frame = PageFrame(Place(block, position), layout.geometry)
                let address = layout.address(of: frame)
                #expect(seen.insert(address).inserted)
                #expect(layout.frame(at: address) == frame)
                #expect(layout.frame(at: address + UInt64(pageSize - 1)) == frame)
                #expect(layout.isTagPage(frame) == (position >= layout.geometry.dataPages))
                let run = try #require(dram.run(at: address, limit: pageSize))
                guard position < layout.geometry.dataPages else {
                    #expect(run.tagAddress == nil)
                    continue
                }
                let tags = try #require(run.tagAddress)
                let tagFrame = try #require(layout.frame(at: tags))
                #expect(layout.block(of: tagFrame) == block && layout.isTagPage(tagFrame))
            }
        }
        #expect(layout.address(of: BlockIndex(0)).rawValue == 2 * unit)
        #expect(layout.tagPageAddress(of: BlockIndex(2)).rawValue == 8 * unit)
        for hole in [0, 4 * unit, 5 * unit - 1, 9 * unit - 1, 9 * unit] {
            #expect(layout.frame(at: PhysicalAddress(hole)) == nil)
        }
    }

    @Test("blocks that a reservation touches are left out, and memory without addressable tags")
    func leftOut() throws {
        let block = MemoryMap.dataBytesPerBlock
        let at = { PhysicalAddress($0 * block) }
        let map = try MemoryMap(
            regions: [
                .init(start: at(0), size: 8 * block, kind: .data(tagBase: at(20))),
                .init(start: at(8), size: block, kind: .dataWithHiddenTags),
                .init(start: at(9), size: block, kind: .ordinary),
                .init(start: at(10), size: 2 * block, kind: .data(tagBase: at(20) + 0x8000)),
                .init(start: at(20), size: block, kind: .tagStorage),
            ],
            reservations: [
                .init(start: at(1) + 0x1000, size: 0x1000), .init(start: at(1) + 0x4000, size: 0x1000),
                .init(start: at(3) + (block - 0x1000), size: 0x2000), .init(start: at(8), size: 0x1000),
                .init(start: at(11), size: block),
            ])
        let layout = try BlockLayout(map: map)
        let blocks = (0..<layout.blocks).map { BlockIndex(UInt32($0)) }
        // Hidden tags and ordinary memory, blocks that are reserved in part, whole ones.
        #expect(blocks.map { layout.address(of: $0) } == [8, 9, 1, 3, 4, 0, 2, 5, 6, 7, 10].map { at($0) })
        #expect(layout.tagBlocks == 2..<11 && layout.specialBlocks == 5 && layout.taggableBlocks == 10)
        let shared: [UInt64] = [1, 3, 4, 0, 2, 5, 6, 7, 10]
        let tagPages = shared.map { at(20) + ($0 < 8 ? $0 : $0 - 2) * 0x1000 }
        #expect(blocks[2...].map { layout.tagPageAddress(of: $0) } == tagPages)
        #expect(
            layout.absences == [
                .init(block: blocks[0], positions: 0..<1), .init(block: blocks[2], positions: 1..<2),
                .init(block: blocks[2], positions: 4..<5), .init(block: blocks[3], positions: 31..<32),
                .init(block: blocks[4], positions: 0..<1),
            ])
        #expect(layout.frame(at: at(11)) == nil)
    }

    @Test("ordinary memory ends with whatever page it ends with")
    func ordinaryMemory() throws {
        let map = try MemoryMap(regions: [
            .init(start: PhysicalAddress(0x3000), size: 35 << 12, kind: .ordinary)
        ])
        let layout = try BlockLayout(map: map)
        #expect(layout.blocks == 2 && layout.tagBlocks.isEmpty && layout.taggableBlocks == 0)
        #expect(layout.absences == [.init(block: BlockIndex(1), positions: 3..<32)])
        let large = try BlockLayout(map: map, pageSize: 16384)
        #expect(large.blocks == 1 && large.absences == [.init(block: BlockIndex(0), positions: 8..<32)])
        #expect(large.address(of: BlockIndex(0)) == PhysicalAddress(0x4000))
    }

    @Test("what cannot be laid out is refused")
    func errors() throws {
        let map = try MemoryMap(base: PhysicalAddress(0x2_0000), size: 3 << 17)
        #expect(throws: AllocatorError.pageSize(8192)) { try BlockLayout(map: map, pageSize: 8192) }
        #expect(throws: AllocatorError.blockSize(pages: 0)) { try BlockLayout(map: map, blockSize: 0) }
        #expect(throws: AllocatorError.blockSize(pages: 65)) { try BlockLayout(map: map, blockSize: 65) }
        #expect(throws: AllocatorError.partialBlock(region: PhysicalAddress(0x2_0000))) {
            try BlockLayout(map: map, blockSize: 2)
        }
        let plain = try MemoryMap(regions: [.init(start: PhysicalAddress(0), size: 4096, kind: .tagStorage)])
        #expect(throws: AllocatorError.noMemory) { try BlockLayout(map: plain) }
        let huge = try MemoryMap(base: PhysicalAddress(0), size: 1 << 50)
        #expect(throws: AllocatorError.tooManyBlocks(1 << 33)) { try BlockLayout(map: huge) }
    }

    @Test("no frame has the bit that page tables keep beside it", arguments: [1, 3, 64])
    func limit(_ blockSize: Int) throws {
        let geometry = BlockGeometry(blockSizeInPages: blockSize)
        let most = Int(Int32.max) >> Int(geometry.frameShift)
        #expect(throws: AllocatorError.tooManyBlocks(most)) {
            try BlockLayout(blocks: most, geometry: geometry)
        }
        let layout = try BlockLayout(blocks: most - 1, geometry: geometry)
        let last = PageFrame(Place(BlockIndex(UInt32(most - 2)), geometry.pages - 1), geometry)
        #expect(last.rawValue < 1 << 31 - 1)
        #expect(layout.frame(at: layout.address(of: last)) == last)
    }
}
