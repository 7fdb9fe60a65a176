import TagMemCore
import Testing

@testable import TagMemDeviceTree

/// The tree that the proposal's QEMU prototype writes for `-machine virt,mte=on,mte-shared-alloc=on -m 1G`.
@Suite("The prototype's device tree") struct GoldenTreeTests {
    static func blob() throws -> [UInt8] {
        let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        return try read("\(folder)/Fixtures/virt-mte-shared-1G.dtb")
    }

    @Test("1 GiB at 1 GiB, and its tags at 1 TiB") func map() throws {
        let machine = try MachineDescription(blob: Self.blob())
        #expect(machine.map == (try Maps.prototype()))
        #expect(machine.warnings == [])
        #expect(machine.map.regions.count == 2)
        let (data, storage) = (machine.map.regions[0], machine.map.regions[1])
        #expect(data.start.rawValue == 0x4000_0000 && data.size == 1 << 30)
        #expect(data.kind == .data(tagBase: PhysicalAddress(0x100_0000_0000)))
        #expect(storage.start.rawValue == 0x100_0000_0000 && storage.size == 32 << 20)
    }

    /// The same with what the prototype's `fdt_add_memory_node` and `arm_load_dtb` would say of another machine.
    private func variant(_ change: (inout DeviceTree.Node) -> Void) throws -> MachineDescription {
        var tree = try DeviceTree(blob: Self.blob())
        change(&tree.root)
        return try MachineDescription(blob: tree.flattened())
    }

    private func memory(_ start: UInt64, _ size: UInt64, _ more: [DeviceTree.Property]) -> DeviceTree.Node {
        DeviceTree.Node(
            "memory@" + String(start, radix: 16),
            [.string("device_type", "memory"), .numbers("reg", start, size)] + more + [.flag("arm,mte-alloc")]
        )
    }

    @Test("two NUMA nodes: the tag storage is in no memory node, which is a warning") func numa() throws {
        let machine = try variant { root in
            root.children.removeAll { $0.name.hasPrefix("memory@") }
            root.children += [
                memory(0x4000_0000, 512 << 20, [.cells("numa-node-id", 0)]),
                memory(0x6000_0000, 512 << 20, [.cells("numa-node-id", 1)]),
            ]
        }
        let half: UInt64 = 512 << 20
        #expect(
            machine.map
                == (try MemoryMap(regions: [
                    Maps.data(0x4000_0000, half, tags: 1 << 40, node: 0),
                    Maps.data(0x6000_0000, half, tags: 1 << 40 + half / 32, node: 1),
                    Maps.region(.tagStorage, 1 << 40, 1 << 25),
                ])))
        #expect(
            machine.warnings == ["/reserved-memory/mte: reg: is in no memory node; it is memory all the same"]
        )
        for dialect in DeviceTreeDialect.allCases {
            let written = try DeviceTree(describing: machine.map, in: dialect)
            let again = try MachineDescription(blob: written.flattened())
            #expect(again.map == machine.map && again.warnings == [])
        }
    }

    @Test("no shared tag storage: the tags are hidden") func hidden() throws {
        let machine = try variant { root in
            root.children.removeAll { $0.name == "memory@10000000000" || $0.name == "reserved-memory" }
        }
        #expect(
            machine.map
                == (try MemoryMap(regions: [Maps.region(.dataWithHiddenTags, 0x4000_0000, 1 << 30)])))
        #expect(machine.warnings == [])
    }

    @Test("secure memory, which the prototype marks as disabled, is none") func secure() throws {
        let machine = try variant { root in
            root.children.append(
                DeviceTree.Node(
                    "secram@e000000",
                    [
                        .string("device_type", "memory"), .numbers("reg", 0xe00_0000, 16 << 20),
                        .string("status", "disabled"), .string("secure-status", "okay"),
                    ]))
        }
        #expect(machine.map == (try Maps.prototype()))
    }
}
