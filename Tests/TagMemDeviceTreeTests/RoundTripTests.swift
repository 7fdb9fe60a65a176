import TagMemCore
import TestSupport
import Testing

@testable import TagMemDeviceTree

@Suite("Device trees of memory maps", .repeatable) struct RoundTripTests {
    @Test("reading what was written gives the same map", arguments: DeviceTreeDialect.allCases)
    func roundTrip(_ dialect: DeviceTreeDialect) throws {
        try withSeed { generator in
            for _ in 0..<300 {
                let map = try Maps.any(&generator)
                let tree = try DeviceTree(describing: map, in: dialect)
                let read = try MachineDescription(blob: tree.flattened())
                #expect(read.map == map)
                #expect(read.warnings == [])
            }
        }
    }

    @Test(
        "dtc reads the blob and the files, and finds nothing to complain of",
        arguments: DeviceTreeDialect.allCases)
    func compiler(_ dialect: DeviceTreeDialect) throws {
        try withSeed { generator in
            for _ in 0..<8 {
                let map = try Maps.any(&generator)
                let tree = try DeviceTree(describing: map, in: dialect)
                let (source, warnings) = try DeviceTreeCompiler.source(of: tree.flattened())
                // Where memory and tag storage are both nodes of the root, they have the same unit address.
                let complaints = warnings.split(separator: "\n").filter {
                    dialect != .rfcV2 || !$0.contains("(unique_unit_address)")
                }
                #expect(complaints == [])
                let compiled = try DeviceTree(blob: DeviceTreeCompiler.blob(of: source))
                #expect(compiled == tree)
                let files = try DeviceTreeCompiler.blob(ofFilesOf: tree)
                #expect(try MachineDescription(blob: files).map == map)
            }
        }
    }

    @Test("the proposal's dialect is the prototype's") func proposal() throws {
        let tree = try DeviceTree(describing: Maps.prototype(), in: .proposal)
        let golden = try DeviceTree(blob: GoldenTreeTests.blob())
        for path in ["/memory@40000000", "/memory@10000000000"] {
            #expect(properties(tree[path]) == properties(golden[path]))
        }
        #expect(
            properties(tree["/reserved-memory/tag-storage@10000000000"])
                == properties(golden["/reserved-memory/mte"]))
        #expect(properties(tree["/reserved-memory"]) == properties(golden["/reserved-memory"]))
        #expect(
            tree.root.children.map(\.name) == ["memory@40000000", "memory@10000000000", "reserved-memory"])
    }

    private func properties(_ node: DeviceTree.Node?) -> [String: [UInt8]]? {
        node.map { Dictionary(uniqueKeysWithValues: $0.properties.map { ($0.name, $0.value) }) }
    }

    @Test("Arm's dialects are as its series have them") func arm() throws {
        let v2 = try DeviceTree(describing: Maps.prototype(), in: .rfcV2)
        #expect(v2.root.children.map(\.name) == ["memory@40000000", "tag-storage@10000000000"])
        let v2Storage = try #require(properties(v2["/tag-storage@10000000000"]))
        #expect(v2Storage["memory"] == v2["/memory@40000000"]?["phandle"])
        #expect(v2Storage["block-size"] == [0, 0, 0x10, 0] && v2Storage.count == 4)
        let v3 = try DeviceTree(describing: Maps.prototype(), in: .rfcV3)
        #expect(v3.root.children.map(\.name) == ["memory@40000000", "memory@10000000000", "reserved-memory"])
        let v3Storage = try #require(properties(v3["/reserved-memory/tag-storage@10000000000"]))
        #expect(v3Storage["tagged-memory"] == v3["/memory@40000000"]?["phandle"])
        #expect(
            v3Storage["block-size"] == [0, 0, 0x10, 0] && v3Storage["reusable"] == [] && v3Storage.count == 5)
    }

    @Test("what a device tree cannot say is an error") func errors() throws {
        let block = Maps.block
        let spare = try MemoryMap(regions: [
            Maps.data(0, block, tags: block + 0x1000), Maps.region(.tagStorage, block, 0x3000),
        ])
        let behind = try MemoryMap(regions: [
            Maps.data(0, block, tags: block), Maps.region(.tagStorage, block, 0x3000),
        ])
        let many = try MemoryMap(
            regions: (0..<129).map { Maps.region(.ordinary, $0 * 0x2000, 0x1000) })
        let storage = try MemoryMap(
            regions: (0..<33).flatMap { (index: UInt64) -> [MemoryMap.Region] in
                let tags = 100 * block + index * 0x2000
                return [Maps.data(index * block, block, tags: tags), Maps.region(.tagStorage, tags, 0x1000)]
            })
        for dialect in DeviceTreeDialect.allCases {
            for (error, map) in [
                (.unusedTagStorage(Maps.at(block)), spare),
                (.unusedTagStorage(Maps.at(block + 0x1000)), behind),
                (.tooManyRanges(129), many), (.tooMuchTagStorage(33), storage),
            ] as [(DeviceTreeWritingError, MemoryMap)] {
                #expect(throws: error) { try DeviceTree(describing: map, in: dialect) }
                #expect(!error.description.isEmpty)
            }
        }
    }
}
