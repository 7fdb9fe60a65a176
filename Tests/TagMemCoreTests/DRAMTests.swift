import TestSupport
import Testing

@testable import TagMemCore

@Suite("DRAM", .repeatable) struct DRAMTests {
    let dram = try? Machine.make()

    private func memory() throws -> DRAM { try #require(dram) }

    @Test("what was never written is zero")
    func startsZero() throws {
        for region in try memory().snapshot() { #expect(region.allSatisfy { $0 == 0 }) }
    }

    @Test("a run reaches to the end of its region, and says where its tags are")
    func runs() throws {
        let dram = try memory()
        for (index, region) in dram.map.regions.enumerated() {
            for offset in [0, 1, 31, 32, 4095, region.size - 1] {
                for limit in [1, 16, 4096, 1 << 30] {
                    let address = region.start + offset
                    var tagAddress: PhysicalAddress?
                    if case .data(let tagBase) = region.kind { tagAddress = tagBase + offset / 32 }
                    #expect(
                        dram.run(at: address, limit: limit)
                            == DRAM.Run(
                                address: address, count: min(limit, Int(region.size - offset)),
                                tagAddress: tagAddress, region: index))
                }
            }
        }
    }

    @Test("there are no runs in holes")
    func holes() throws {
        for address: UInt64 in [0, 0x1ffff, 0x84000, 0x9ffff, 0xc2000, 1 << 52, .max] {
            #expect(try memory().run(at: PhysicalAddress(address), limit: 16) == nil)
        }
    }

    @Test("reads, writes and zero fills act on their bytes alone, at both ends of every region")
    func readsAndWrites() throws {
        let dram = try memory()
        try withSeed { generator in
            var model = dram.snapshot()
            for _ in 0..<400 {
                let index = Int.random(in: 0..<model.count, using: &generator)
                let region = dram.map.regions[index]
                let count = Int.random(in: 0...300, using: &generator)
                let space = Int(region.size) - count
                let offset = [0, space, Int.random(in: 0...space, using: &generator)].randomElement(
                    using: &generator)
                let start = try #require(offset)
                let address = region.start + UInt64(start)
                if generator.oneIn(4) {
                    dram.zero(address, count: count)
                    for position in start..<start + count { model[index][position] = 0 }
                } else {
                    let bytes = (0..<count).map { _ in UInt8(generator.bits(8)) }
                    dram.setBytes(bytes, at: address)
                    for position in 0..<count { model[index][start + position] = bytes[position] }
                }
                let lowest = max(0, start - 32)
                let highest = min(Int(region.size), start + count + 32)
                #expect(
                    dram.bytes(at: region.start + UInt64(lowest), count: highest - lowest)
                        == Array(model[index][lowest..<highest]))
            }
            #expect(dram.snapshot() == model)
        }
    }

    @Test("pieces of an access cover it in order, and holes are found before anything is done")
    func forEachRun() throws {
        let dram = try memory()
        var pieces: [DRAM.Run] = []
        try dram.forEachRun(at: PhysicalAddress(0x5fff8), count: 0x20018) { pieces.append($0) }
        #expect(pieces.map(\.address.rawValue) == [0x5fff8, 0x60000, 0x80000])
        #expect(pieces.map(\.count) == [8, 0x20000, 16])
        #expect(pieces.map(\.region) == [0, 1, 2])
        pieces = []
        #expect(throws: MemoryFault.noMemory(PhysicalAddress(0x84000))) {
            try dram.forEachRun(at: PhysicalAddress(0x7fff0), count: 0x5000) { pieces.append($0) }
        }
        #expect(pieces.isEmpty)
    }

    @Test("hidden tags are tags, and no address reaches them")
    func hiddenTags() throws {
        let block = MemoryMap.dataBytesPerBlock
        let map = try MemoryMap(regions: [
            .init(start: PhysicalAddress(0), size: 0x1000, kind: .ordinary),
            .init(start: PhysicalAddress(block), size: block, kind: .dataWithHiddenTags),
            .init(start: PhysicalAddress(3 * block), size: block, kind: .dataWithHiddenTags),
        ])
        let dram = try DRAM(map: map)
        #expect(dram.run(at: PhysicalAddress(0), limit: 1)?.tagAddress == nil)
        for (index, start) in [block, 3 * block].enumerated() {
            let last = PhysicalAddress(start + block - 16)
            dram.fillTags(AllocationTag(truncating: 5), at: last, count: 16)
            #expect(dram.allocationTag(at: last).rawValue == 5)
            #expect(
                dram.firstMismatch(
                    of: AddressTag(truncating: 0), at: PhysicalAddress(start), count: Int(block)) == last)
            let tags = try #require(dram.run(at: last, limit: 16)?.tagAddress)
            #expect(tags.rawValue == PhysicalAddress.limit + UInt64(index + 1) * 0x1000 - 1)
            #expect(dram.run(at: tags, limit: 1) == nil)
            let run = try #require(dram.bankRun(at: tags, limit: 16))
            #expect(run.count == 1 && run.tagAddress == nil && run.region == 3 + index)
            #expect(dram.bytes(at: tags, count: 1) == [0x50])
        }
    }

    @Test("accesses that leave their region trap")
    func misuse() async {
        await #expect(processExitsWith: .failure) {
            try Machine.make().zero(PhysicalAddress(0x5fff8), count: 16)
        }
        await #expect(processExitsWith: .failure) {
            try Machine.make().zero(PhysicalAddress(0x84000), count: 1)
        }
        await #expect(processExitsWith: .failure) {
            _ = try Machine.make().allocationTag(at: PhysicalAddress(0x80000))
        }
        await #expect(processExitsWith: .failure) {
            try Machine.make().fillTags(AllocationTag(truncating: 1), at: PhysicalAddress(0x5ffe0), count: 64)
        }
        await #expect(processExitsWith: .failure) {
            _ = try Machine.make().firstMismatch(
                of: AddressTag(truncating: 0), at: PhysicalAddress(0x5ffe0), count: 64)
        }
        // The same accesses, kept within the region, do not.
        await #expect(processExitsWith: .success) {
            let dram = try Machine.make()
            dram.zero(PhysicalAddress(0x5fff8), count: 8)
            dram.fillTags(AllocationTag(truncating: 1), at: PhysicalAddress(0x5ffe0), count: 32)
        }
    }

    @Test("address space that the host does not have is an error")
    func tooLarge() throws {
        let map = try MemoryMap(base: PhysicalAddress(0), size: 1 << 50)
        let error = #expect(throws: DRAMError.self) { _ = try DRAM(map: map) }
        #expect(error?.size == 1 << 50)
        // Also when there was space for a part of it.
        let parts = try MemoryMap(regions: [
            .init(start: PhysicalAddress(0), size: 0x1000, kind: .tagStorage),
            .init(start: PhysicalAddress(1 << 20), size: 1 << 51, kind: .tagStorage),
        ])
        #expect(#expect(throws: DRAMError.self) { _ = try DRAM(map: parts) }?.size == 1 << 51)
        #expect(error?.description.contains("\(UInt64(1) << 50) bytes") == true)
    }

    @Test(
        "memory that is cleared is zero, and what is beside it is as it was",
        arguments: [1, 4095, 4096, 100_000, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 150_000],
        [0, 1, 4095, 4096, 5000])
    func clear(_ count: Int, _ offset: UInt64) throws {
        let dram = try Machine.make()
        let region = dram.map.regions[0]
        dram.setBytes([UInt8](repeating: 0xa5, count: Int(region.size)), at: region.start)
        dram.clear(region.start + offset, count: count)
        let bytes = dram.bytes(at: region.start, count: Int(region.size))
        let cleared = Int(offset)..<Int(offset) + count
        #expect(bytes[cleared].allSatisfy { $0 == 0 })
        #expect(bytes[..<cleared.lowerBound].allSatisfy { $0 == 0xa5 })
        #expect(bytes[cleared.upperBound...].allSatisfy { $0 == 0xa5 })
    }
}
