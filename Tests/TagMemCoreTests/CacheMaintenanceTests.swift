import Testing

@testable import TagMemCore

@Suite("Cache maintenance") struct CacheMaintenanceTests {
    @Test("the mnemonic says what an operation does", arguments: CacheMaintenance.allCases)
    func mnemonics(operation: CacheMaintenance) throws {
        // [C][I][G[D]]VA and the point.
        let name = try #require(operation.mnemonic.split(separator: " ").last)
        #expect(operation.mnemonic.hasPrefix("DC "))
        let middle = try #require(name.split(separator: "V").first)
        #expect(operation.cleans == middle.contains("C"))
        #expect(operation.invalidates == middle.contains("I"))
        let coverage: CacheMaintenance.Coverage =
            middle.hasSuffix("GD") ? [.data, .tags] : middle.hasSuffix("G") ? .tags : .data
        #expect(operation.coverage == coverage)
        let point: CacheMaintenance.Point =
            name.hasSuffix("VAC")
            ? .coherency
            : name.hasSuffix("VAU") ? .unification : name.hasSuffix("VAP") ? .persistence : .deepPersistence
        #expect(operation.point == point)
    }

    @Test("there are all sixteen")
    func complete() {
        #expect(CacheMaintenance.allCases.count == 16)
        #expect(CacheMaintenance.cigdvac.mnemonic == "DC CIGDVAC")
    }

    @Test(
        "on a coherent machine an operation changes nothing, and needs memory",
        arguments: CacheMaintenance.allCases)
    func coherent(operation: CacheMaintenance) throws {
        let dram = try Machine.make()
        dram.setBytes(Array(repeating: 0x5a, count: 4096), at: PhysicalAddress(0x20000))
        dram.setBytes(Array(repeating: 0x3c, count: 128), at: PhysicalAddress(0x80000))
        let before = dram.snapshot()
        for address: UInt64 in [0x20000, 0x20001, 0x80047, 0xa500_0000_000c_1fff] {
            try dram.perform(operation, at: TaggedPointer(rawValue: address))
        }
        #expect(dram.snapshot() == before)
        #expect(throws: MemoryFault.noMemory(PhysicalAddress(0x84001))) {
            try dram.perform(operation, at: TaggedPointer(rawValue: 0x9300_0000_0008_4001))
        }
    }
}
