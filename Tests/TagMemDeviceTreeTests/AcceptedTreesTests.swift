import TagMemCore
import Testing

@testable import TagMemDeviceTree

/// Every form of tree that is read. Sources are what is between the braces of the root, with two cells for addresses
/// and sizes.
@Suite("Device trees that are read") struct AcceptedTreesTests {
    typealias Region = MemoryMap.Region
    static let gib: UInt64 = 1 << 30

    private func check(
        _ body: String, cells: String = "#address-cells = <2>; #size-cells = <2>;", _ regions: [Region],
        _ reservations: [MemoryMap.Reservation] = [], warnings: [String] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let machine = try MachineDescription(DeviceTreeCompiler.tree(body, cells: cells))
        let map = try MemoryMap(regions: regions, reservations: reservations)
        #expect(machine.map == map, sourceLocation: sourceLocation)
        #expect(machine.warnings == warnings, sourceLocation: sourceLocation)
        for dialect in DeviceTreeDialect.allCases {
            let written = try DeviceTree(describing: map, in: dialect).flattened()
            #expect(try MachineDescription(blob: written).map == map, sourceLocation: sourceLocation)
        }
    }

    // MARK: Memory

    @Test(
        "several nodes with several ranges, in any order; without anything said of tags it is ordinary memory"
    )
    func ordinary() throws {
        try check(
            """
            memory@80000000 { device_type = "memory"; reg = <0 0x80000000 0 0x1000>, <0 0x40000000 0 0x3000>; };
            memory@0 { device_type = "memory"; reg = <0x10 0 0 0x2000 0 0 0 0x1000>; };
            """,
            [
                Maps.region(.ordinary, 0, 0x1000), Maps.region(.ordinary, 0x4000_0000, 0x3000),
                Maps.region(.ordinary, 0x8000_0000, 0x1000), Maps.region(.ordinary, 0x10_0000_0000, 0x2000),
            ])
    }

    @Test(
        "any number of cells",
        arguments: [
            ("#address-cells = <1>; #size-cells = <1>;", "<0x40000000 0x3000>"),
            ("#address-cells = <2>; #size-cells = <1>;", "<0 0x40000000 0x3000>"),
            ("#address-cells = <1>; #size-cells = <2>;", "<0x40000000 0 0x3000>"),
            ("#address-cells = <3>; #size-cells = <2>;", "<0 0 0x40000000 0 0x3000>"),
            ("#address-cells = <4>; #size-cells = <4>;", "<0 0 0 0x40000000 0 0 0 0x3000>"),
            // The specification's defaults.
            ("", "<0 0x40000000 0x3000>"),
        ])
    func cells(_ cells: String, _ reg: String) throws {
        try check(
            "memory@40000000 { device_type = \"memory\"; reg = \(reg); };", cells: cells,
            [Maps.region(.ordinary, 0x4000_0000, 0x3000)])
    }

    @Test(
        "linux,usable-memory goes before reg; numa-node-id; status; a node without a unit address or a type")
    func otherProperties() throws {
        try check(
            """
            memory { reg = <0 0 0 0x10000>; linux,usable-memory = <0 0x1000 0 0x2000>; numa-node-id = <7>; };
            memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x1000 0 0 0 0>; status = "okay"; };
            memory@50000000 { device_type = "memory"; reg = <0 0x50000000 0 0x1000>; status = "disabled"; };
            memory-controller@60000000 { reg = <0 0x60000000 0 0x1000>; };
            ram@70000000 { device_type = "memory"; reg = <0 0x70000000 0 0x1000>; };
            """,
            [
                Maps.region(.ordinary, 0x1000, 0x2000, node: 7), Maps.region(.ordinary, 0x4000_0000, 0x1000),
                Maps.region(.ordinary, 0x7000_0000, 0x1000),
            ],
            warnings: [
                "/memory: device_type: is missing, and taken to be \"memory\"",
                "/memory@40000000: reg: a range of size 0 is ignored",
            ])
    }

    // MARK: The proposal

    @Test("hidden tags, ordinary memory and addressable tags beside each other") func mixed() throws {
        try check(
            """
            memory@0 { device_type = "memory"; reg = <0 0 0 0x40000>; arm,mte-alloc; numa-node-id = <1>; };
            memory@40000 { device_type = "memory"; reg = <0 0x40000 0 0x40000>; };
            memory@80000 {
                device_type = "memory"; reg = <0 0x80000 0 0x20000 0 0x1000000 0 0x20000>; arm,mte-alloc;
            };
            memory@200000 { device_type = "memory"; reg = <0 0x200000 0 0x1000>; arm,no-mte; };
            reserved-memory {
                #address-cells = <2>; #size-cells = <2>; ranges;
                tags@200000 { compatible = "arm,mte-tag-storage"; reg = <0 0x200000 0 0x1000>; storage-base = <0 0x80000>; };
            };
            """,
            [
                Maps.region(.dataWithHiddenTags, 0, 0x40000, node: 1),
                Maps.region(.ordinary, 0x40000, 0x40000),
                Maps.data(0x80000, 0x20000, tags: 0x200000), Maps.region(.tagStorage, 0x200000, 0x1000),
                Maps.region(.dataWithHiddenTags, 0x1000000, 0x20000),
            ])
    }

    @Test("a memory's tags in several nodes, and tag storage within the memory node of its data")
    func parts() throws {
        try check(
            """
            memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x84000>; arm,mte-alloc; };
            reserved-memory {
                #address-cells = <1>; #size-cells = <1>; ranges;
                a { compatible = "vendor,x", "arm,mte-tag-storage"; reg = <0x40081000 0x1000>; storage-base = <0x40000000>; };
                b { compatible = "arm,mte-tag-storage"; reg = <0x40082000 0x2000>; storage-base = <0x40040000>; };
                c { compatible = "arm,mte-tag-storage"; reg = <0x40080000 0x1000>; storage-base = <0x40020000>; no-map; };
            };
            """,
            [
                Maps.data(0x4000_0000, 0x20000, tags: 0x4008_1000),
                Maps.data(0x4002_0000, 0x20000, tags: 0x4008_0000),
                Maps.data(0x4004_0000, 0x40000, tags: 0x4008_2000),
                Maps.region(.tagStorage, 0x4008_0000, 0x4000),
            ])
    }

    @Test("an interleaved controller's block size, in bytes") func blockSize() throws {
        try check(
            """
            memory@0 { device_type = "memory"; reg = <0 0 0 0x80000>; arm,mte-alloc; };
            memory@80000 { device_type = "memory"; reg = <0 0x80000 0 0x4000>; arm,no-mte; numa-node-id = <2>; };
            reserved-memory {
                #address-cells = <2>; #size-cells = <2>; ranges;
                tags { compatible = "arm,mte-tag-storage"; reg = <0 0x80000 0 0x4000>; storage-base = <0 0>; block-size = <0x2000>; };
            };
            """,
            [
                Maps.data(0, 0x80000, tags: 0x80000),
                Region(
                    start: Maps.at(0x80000), size: 0x4000, kind: .tagStorage, numaNode: 2, blockSize: 0x2000),
            ])
    }

    // MARK: Arm's series

    /// As the third version patches fvp-base-revc.dts.
    @Test("RFC v3") func rfcV3() throws {
        try check(
            """
            memory0: memory@80000000 { device_type = "memory"; reg = <0x00 0x80000000 0x00 0x80000000>; numa-node-id = <0>; };
            memory@8f8000000 { device_type = "memory"; reg = <0x08 0xf8000000 0x00 0x4000000>; numa-node-id = <0>; };
            memory1: memory@880000000 { device_type = "memory"; reg = <0x08 0x80000000 0x00 0x78000000>; numa-node-id = <1>; };
            memory@8fc000000 { device_type = "memory"; reg = <0x08 0xfc000000 0x00 0x3c00000>; numa-node-id = <1>; };
            reserved-memory {
                #address-cells = <2>; #size-cells = <2>; ranges;
                vram@18000000 { compatible = "shared-dma-pool"; reg = <0 0x18000000 0 0x800000>; no-map; };
                tag-storage@8f8000000 {
                    compatible = "arm,mte-tag-storage"; reg = <0x08 0xf8000000 0x00 0x4000000>;
                    block-size = <0x1000>; tagged-memory = <&memory0>; reusable;
                };
                tag-storage@8fc000000 {
                    compatible = "arm,mte-tag-storage"; reg = <0x08 0xfc000000 0x00 0x3c00000>;
                    block-size = <0x2000>; tagged-memory = <&memory1>;
                };
            };
            """,
            [
                Maps.data(0x8000_0000, 0x8000_0000, tags: 0x8_f800_0000, node: 0),
                Maps.data(0x8_8000_0000, 0x7800_0000, tags: 0x8_fc00_0000, node: 1),
                Maps.region(.tagStorage, 0x8_f800_0000, 0x400_0000, node: 0),
                Region(
                    start: Maps.at(0x8_fc00_0000), size: 0x3c0_0000, kind: .tagStorage, numaNode: 1,
                    blockSize: 0x2000),
            ],
            warnings: [
                "/reserved-memory/tag-storage@8fc000000: reusable: is missing; the tag storage is reused all the same"
            ])
    }

    /// The first version counts pages; the second, bytes.
    @Test(
        "RFC v1 and v2",
        arguments: [
            ("metadata", "<0x1>", 0x1000), ("tag-storage", "<0x1000>", 0x1000),
            ("tag-storage", "<0x4000>", 0x4000),
        ]
            as [(String, String, UInt64)])
    func rfcV1(_ name: String, _ blockSize: String, _ bytes: UInt64) throws {
        try check(
            """
            memory0: memory@80000000 { device_type = "memory"; reg = <0x00 0x80000000 0x00 0x80000000>; numa-node-id = <0>; };
            memory1: memory@880000000 {
                device_type = "memory"; reg = <0x08 0x80000000 0x00 0x80000000>;
                linux,usable-memory = <0x08 0x80000000 0x00 0x78000000>;
            };
            \(name)@8f8000000 {
                compatible = "arm,mte-tag-storage"; reg = <0x08 0xf8000000 0x00 0x4000000>;
                block-size = \(blockSize); memory = <&memory0>;
            };
            \(name)@8fc000000 {
                compatible = "arm,mte-tag-storage"; reg = <0x08 0xfc000000 0x00 0x3c00000>;
                block-size = \(blockSize); memory = <&memory1>;
            };
            """,
            [
                Maps.data(0x8000_0000, 0x8000_0000, tags: 0x8_f800_0000, node: 0),
                Maps.data(0x8_8000_0000, 0x7800_0000, tags: 0x8_fc00_0000),
                Region(
                    start: Maps.at(0x8_f800_0000), size: 0x400_0000, kind: .tagStorage, numaNode: 0,
                    blockSize: bytes),
                Region(start: Maps.at(0x8_fc00_0000), size: 0x3c0_0000, kind: .tagStorage, blockSize: bytes),
            ])
    }

    @Test("up to 32 tag storage nodes") func many() throws {
        var memory = ""
        var storage = ""
        var regions: [Region] = []
        for index in 0..<32 as Range<UInt64> {
            let (start, tags) = (index * 0x20000, 0x1000_0000 + index * 0x2000)
            memory +=
                "m\(index): memory@\(start) { device_type = \"memory\"; reg = <0 \(start) 0 0x20000>; };"
            storage += """
                t\(index) { compatible = "arm,mte-tag-storage"; reg = <0 \(tags) 0 0x1000>; block-size = <0x1000>;
                    tagged-memory = <&m\(index)>; reusable; };
                """
            regions += [Maps.data(start, 0x20000, tags: tags), Maps.region(.tagStorage, tags, 0x1000)]
        }
        try check(
            "\(memory) reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges; \(storage) };",
            regions,
            warnings: (0..<32).map {
                "/reserved-memory/t\($0): reg: is in no memory node; it is memory all the same"
            })
    }

    // MARK: Reservations

    @Test("other reserved memory, with and without no-map, in pages, as far as it is memory")
    func reserved() throws {
        try check(
            """
            memory@0 { device_type = "memory"; reg = <0 0 0 0x10000 0 0x10000 0 0x10000>; };
            reserved-memory {
                #address-cells = <2>; #size-cells = <2>;
                a@1000 { reg = <0 0x1000 0 0x1000>, <0 0x5800 0 0x10>; no-map; };
                b@5810 { reg = <0 0x5810 0 0x1000>; };
                c@f000 { reg = <0 0xf000 0 0x2000>; };
                d@1f000 { reg = <0 0x1f000 0 0x10000>; };
                e@40000000 { reg = <0 0x40000000 0 0x1000>; };
                f { size = <0 0x1000>; };
                g@8000 { reg = <0 0x8000 0 0x1000>; status = "disabled"; };
            };
            """,
            [Maps.region(.ordinary, 0, 0x10000), Maps.region(.ordinary, 0x10000, 0x10000)],
            [
                .init(start: Maps.at(0x1000), size: 0x1000, isUnmapped: true),
                .init(start: Maps.at(0x5000), size: 0x1000, isUnmapped: true),
                .init(start: Maps.at(0x6000), size: 0x1000), .init(start: Maps.at(0xf000), size: 0x1000),
                .init(start: Maps.at(0x10000), size: 0x1000), .init(start: Maps.at(0x1f000), size: 0x1000),
            ],
            warnings: [
                "/reserved-memory: ranges: is missing, and taken to be empty",
                "/reserved-memory/f: has no 'reg' and is left to the operating system: nothing is reserved for it",
            ])
    }

    @Test("the blob's own list of reservations") func reservationBlock() throws {
        var tree = try DeviceTreeCompiler.tree(
            """
            memory@0 { device_type = "memory"; reg = <0 0 0 0x10000>; };
            reserved-memory {
                #address-cells = <2>; #size-cells = <2>; ranges;
                a@1000 { reg = <0 0x1000 0 0x1000>; no-map; };
            };
            """)
        tree.memoryReservations = [.init(address: 0x800, size: 0x2000), .init(address: 0x9000, size: 0)]
        #expect(
            try MachineDescription(blob: tree.flattened()).map.reservations == [
                .init(start: Maps.at(0), size: 0x1000),
                .init(start: Maps.at(0x1000), size: 0x1000, isUnmapped: true),
                .init(start: Maps.at(0x2000), size: 0x1000),
            ])
    }
}
