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
        #expect(throws: AllocatorError.noTaggableMemory) { try BlockLayout(map: plain) }
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
