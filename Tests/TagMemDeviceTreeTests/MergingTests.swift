import TagMemCore
import Testing

@testable import TagMemDeviceTree

@Suite("One machine's tree with another's memory") struct MergingTests {
    private func machine(cells: UInt32 = 2, reserved: [DeviceTree.Node] = []) -> DeviceTree {
        DeviceTree(
            root: .init(
                "", [.cells("#address-cells", cells), .cells("#size-cells", 2), .cells("phandle", 7)],
                children: [
                    .init("memory@0", [.string("device_type", "memory"), .numbers("reg", 0, 1 << 30)]),
                    .init("intc", [.cells("phandle", 0x8002)]),
                    .init("chosen", [.string("bootargs", "old"), .string("stdout-path", "/pl011")]),
                ] + reserved),
            memoryReservations: [.init(address: 0x1000, size: 0x1000)])
    }

    private static let map = Result { try MemoryMap(base: PhysicalAddress(0x4000_0000), size: 1 << 20) }

    @Test("the memory is the other's, all else stays", arguments: DeviceTreeDialect.allCases)
    func memory(_ dialect: DeviceTreeDialect) throws {
        let map = try Self.map.get()
        let merged = try machine().merging(memoryOf: DeviceTree(describing: map, in: dialect))
        #expect(merged.memoryReservations == machine().memoryReservations)
        for path in ["/intc", "/chosen"] { #expect(merged[path] == machine()[path]) }
        #expect(merged["/memory@0"] == nil)
        // No phandle is given twice, and the tag storage is still that of its memory.
        let read = try MachineDescription(blob: merged.flattened())
        #expect(read.map.regions == map.regions && read.warnings == [])
        if dialect != .proposal {
            #expect(merged["/memory@40000000"]?["phandle"] == [0, 0, 0x80, 0x03])
        }
    }

    @Test("a kernel gets its command line and its initramfs")
    func boot() throws {
        let memory = try DeviceTree(describing: Self.map.get(), in: .proposal)
        let boot = DeviceTree.BootArguments(commandLine: "new", initramfs: 0x1_0000_0000..<0x1_0000_1000)
        let chosen = try #require(machine().merging(memoryOf: memory, boot)["/chosen"])
        #expect(
            chosen.properties == [
                .string("stdout-path", "/pl011"), .string("bootargs", "new"),
                .numbers("linux,initrd-start", 0x1_0000_0000), .numbers("linux,initrd-end", 0x1_0000_1000),
            ])
        var bare = machine()
        bare.root.children.removeAll { $0.name == "chosen" }
        #expect(try bare.merging(memoryOf: memory, boot)["/chosen"]?["bootargs"] == Array("new\0".utf8))
    }

    @Test("reservations of both are kept")
    func reservations() throws {
        let own = DeviceTree.Node(
            "reserved-memory", [.cells("#address-cells", 2), .cells("#size-cells", 2), .flag("ranges")],
            children: [.init("secure@1000", [.numbers("reg", 0x1000, 0x1000)])])
        let memory = try DeviceTree(describing: Self.map.get(), in: .proposal)
        let merged = try machine(reserved: [own]).merging(memoryOf: memory)
        #expect(
            merged["/reserved-memory"]?.children.map(\.name) == ["secure@1000", "tag-storage@40100000"])
    }

    @Test("what cannot be put together is said")
    func refused() throws {
        let memory = try DeviceTree(describing: Self.map.get(), in: .rfcV2)
        var error = #expect(throws: DeviceTreeError.self) { try machine(cells: 1).merging(memoryOf: memory) }
        #expect(error?.property == "#address-cells")
        let narrow = DeviceTree.Node(
            "reserved-memory", [.cells("#address-cells", 2), .cells("#size-cells", 1)])
        let proposal = try DeviceTree(describing: Self.map.get(), in: .proposal)
        error = #expect(throws: DeviceTreeError.self) {
            try machine(reserved: [narrow]).merging(memoryOf: proposal)
        }
        #expect(error?.node == "/reserved-memory" && error?.property == "#size-cells")
        error = #expect(throws: DeviceTreeError.self) {
            try machine(reserved: [.init("tag-storage@40100000")]).merging(memoryOf: memory)
        }
        #expect(error?.problem == .twice("tag-storage@40100000"))
    }
}
