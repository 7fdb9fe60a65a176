import TagMemCore
import Testing

@testable import TagMemDeviceTree

/// Every inconsistency is one line that names the node and the property.
@Suite("Device trees that are refused") struct RefusedTreesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let message: String
        let body: String
        var testDescription: String { message }

        init(_ message: String, _ body: String) {
            self.message = message
            self.body = body
        }
    }

    private static func memory(_ name: String, _ properties: String) -> String {
        "\(name) { device_type = \"memory\"; \(properties) };"
    }

    /// 256 KiB at 0x40000000, its tags at 0x50000000; `properties` are of its storage.
    private static func storage(
        _ properties: String, reg: String = "<0 0x50000000 0 0x2000>", more: String = ""
    ) -> String {
        """
        m: memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x40000>; arm,mte-alloc; };
        n: memory@50000000 { device_type = "memory"; reg = <0 0x50000000 0 0x10000>; };
        reserved-memory {
            #address-cells = <2>; #size-cells = <2>; ranges;
            tags { compatible = "arm,mte-tag-storage"; reg = \(reg); \(properties) };
            \(more)
        };
        """
    }

    private static let tags = "/reserved-memory/tags"

    static let memoryCases: [Case] = [
        Case("/: there is no memory node with memory", "chosen { };"),
        Case("/: there is no memory node with memory", memory("memory@0", "reg = <0 0 0 0>;")),
        Case("/memory@0: reg: is missing", memory("memory@0", "")),
        Case(
            "/memory@0: reg: 12 bytes are not a whole number of 16, and at least one",
            memory("memory@0", "reg = <0 0 0>;")),
        Case(
            "/memory@0: reg: 0 bytes are not a whole number of 16, and at least one",
            memory("memory@0", "reg;")),
        Case(
            "/memory@0: linux,usable-memory: 4 bytes are not a whole number of 16, and at least one",
            memory("memory@0", "reg = <0 0 0 0x1000>; linux,usable-memory = <0>;")),
        Case(
            "/memory@800: reg: 0x1000 bytes at 0x800 are not a whole number of aligned units of 0x1000 bytes",
            memory("memory@800", "reg = <0 0x800 0 0x1000>;")),
        Case(
            "/memory@0: reg: 0x1001 bytes at 0x0 are not a whole number of aligned units of 0x1000 bytes",
            memory("memory@0", "reg = <0 0 0 0x1001>;")),
        Case(
            "/memory@0: reg: 0x10000000001000 bytes at 0x0 reach past the 52-bit physical address space",
            memory("memory@0", "reg = <0 0 0x100000 0x1000>;")),
        Case(
            "/memory@0: reg: 0xffffffffffffffff bytes at 0xffffffffffffffff reach past the 52-bit physical address space",
            memory("memory@0", "reg = <0xffffffff 0xffffffff 0xffffffff 0xffffffff>;")),
        Case(
            "/memory@2000: reg: 0x1000 bytes at 0x2000 overlap /memory@0",
            memory("memory@2000", "reg = <0 0x2000 0 0x1000>;") + memory("memory@0", "reg = <0 0 0 0x3000>;")),
        Case(
            "/memory@0: numa-node-id: 8 bytes are not a whole number of 4, and at least one",
            memory("memory@0", "reg = <0 0 0 0x1000>; numa-node-id = <0 1>;")),
        Case(
            "/memory@40000: reg: 0x21000 bytes at 0x40000 are not a whole number of aligned units of 0x20000 bytes",
            memory("memory@40000", "reg = <0 0x40000 0 0x21000>; arm,mte-alloc;")),
        Case(
            "/memory@0: arm,no-mte: the 0x1000 bytes at 0x0 are not described by tag storage nodes",
            memory("memory@0", "reg = <0 0 0 0x1000>; arm,no-mte; arm,mte-alloc;")),
        Case(
            "/: more than 128 ranges of memory",
            (0..<129).map { memory("memory@\($0)", "reg = <\($0) 0 0 0x1000>;") }.joined()),
    ]

    static let storageCases: [Case] = [
        Case(
            "\(tags): none of 'storage-base', 'memory' and 'tagged-memory' says whose tags it holds",
            storage("")),
        Case(
            "\(tags): only one of 'storage-base', 'memory' and 'tagged-memory' can say whose tags it holds",
            storage("storage-base = <0 0x40000000>; tagged-memory = <&m>;")),
        Case(
            "\(tags): storage-base: 4 bytes are not a whole number of 8, and at least one",
            storage("storage-base = <0x40000000>;")),
        Case(
            "\(tags): storage-base: 0x40000 bytes at 0x40001000 are not a whole number of aligned units of 0x20000 bytes",
            storage("storage-base = <0 0x40001000>;")),
        Case(
            "\(tags): storage-base: 0x40000 bytes at 0xffffffffffff0000 reach past the 52-bit physical address space",
            storage("storage-base = <0xffffffff 0xffff0000>;")),
        Case(
            "\(tags): reg: 0x1800 bytes at 0x50000000 are not a whole number of aligned units of 0x1000 bytes",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000000 0 0x1800>")),
        Case(
            "\(tags): reg: 0x2000 bytes at 0x50000800 are not a whole number of aligned units of 0x1000 bytes",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000800 0 0x2000>")),
        Case(
            "\(tags): reg: 0x0 bytes at 0x50000000 are not a whole number of aligned units of 0x1000 bytes",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000000 0 0>")),
        Case(
            "\(tags): reg: has 2 ranges where one is needed",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000000 0 0x1000 0 0x50001000 0 0x1000>")),
        Case(
            "\(tags): reg: too small: it holds the tags of 0x20000 of the 0x40000 bytes at 0x40000000",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000000 0 0x1000>")),
        Case(
            "\(tags): reg: too small: it holds the tags of 0x20000 of the 0x40000 bytes at 0x40000000",
            storage("storage-base = <0 0x40020000>;", reg: "<0 0x50000000 0 0x1000>")),
        Case(
            "\(tags): storage-base: it would hold the tags of 0x20000 bytes at 0x40040000, where there is no memory",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x50000000 0 0x3000>")),
        Case(
            "\(tags): storage-base: it would hold the tags of 0x40000 bytes at 0x60000000, where there is no memory",
            storage("storage-base = <0 0x60000000>;")),
        Case(
            "\(tags): storage-base: the tags of this memory would be in itself",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x4003e000 0 0x2000>")),
        Case(
            "\(tags): tagged-memory: the tags of this memory would be in itself",
            storage("block-size = <0x1000>; tagged-memory = <&m>;", reg: "<0 0x4003e000 0 0x2000>")),
        Case(
            "\(tags): reg: the 0x1000 bytes at 0x50010000 are in no memory node, and the rest is",
            storage("storage-base = <0 0x40000000>;", reg: "<0 0x5000f000 0 0x2000>")),
        Case(
            "\(tags): block-size: 0x800 bytes are not a whole number of pages (0x1000 bytes), and at least one",
            storage("storage-base = <0 0x40000000>; block-size = <0x800>;")),
        Case(
            "\(tags): block-size: 0x1 bytes are not a whole number of pages (0x1000 bytes), and at least one",
            storage("tagged-memory = <&m>; block-size = <1>;")),
        Case(
            "\(tags): block-size: 0x0 bytes are not a whole number of pages (0x1000 bytes), and at least one",
            storage("memory = <&m>; block-size = <0>;")),
        Case(
            "\(tags): block-size: 0x1800 bytes are not a whole number of pages (0x1000 bytes), and at least one",
            storage("memory = <&m>; block-size = <0x1800>;")),
        Case(
            "\(tags): block-size: 0x2000 bytes of tags are not a whole number of blocks of 0x4000 bytes",
            storage("memory = <&m>; block-size = <0x4000>;")),
        Case("\(tags): block-size: is missing", storage("tagged-memory = <&m>; reusable;")),
        Case(
            "\(tags): tagged-memory: there is no memory node, or more than one, whose phandle is 0x77",
            storage("tagged-memory = <0x77>; block-size = <0x1000>;")),
        Case(
            "\(tags): memory: 0 bytes are not a whole number of 4, and at least one",
            storage("memory; block-size = <0x1000>;")),
        Case(
            "\(tags): reg: 0x1000 bytes are too small: the tags of its memory take exactly 0x2000",
            storage("tagged-memory = <&m>; block-size = <0x1000>;", reg: "<0 0x50000000 0 0x1000>")),
        Case(
            "\(tags): reg: 0x3000 bytes are too large: the tags of its memory take exactly 0x2000",
            storage("memory = <&m>; block-size = <0x1000>;", reg: "<0 0x50000000 0 0x3000>")),
        Case(
            "/memory@50000000: reg: 0x10000 bytes at 0x50000000 are not a whole number of aligned units of 0x20000 bytes",
            storage("tagged-memory = <&n>; block-size = <0x1000>;", reg: "<0 0x60000000 0 0x1000>")),
        Case(
            "/reserved-memory/more: reg: 0x1000 bytes at 0x50001000 overlap \(tags)",
            storage(
                "storage-base = <0 0x40000000>;",
                more:
                    "more { compatible = \"arm,mte-tag-storage\"; reg = <0 0x50001000 0 0x1000>; storage-base = <0 0x40000000>; };"
            )),
        Case(
            "/reserved-memory/more: storage-base: the tags of the memory at 0x40020000 are in \(tags) already",
            storage(
                "storage-base = <0 0x40000000>;",
                more:
                    "more { compatible = \"arm,mte-tag-storage\"; reg = <0 0x50002000 0 0x1000>; storage-base = <0 0x40020000>; };"
            )),
        Case(
            "/reserved-memory/more: storage-base: it would hold the tags of tag storage, \(tags), which has none",
            storage(
                "storage-base = <0 0x40000000>;",
                more:
                    "more { compatible = \"arm,mte-tag-storage\"; reg = <0 0x60000000 0 0x1000>; storage-base = <0 0x50000000>; };"
            )),
        Case(
            "/reserved-memory/more@50001fff: reg: 0x1 bytes at 0x50001fff overlap \(tags)",
            storage("storage-base = <0 0x40000000>;", more: "more@50001fff { reg = <0 0x50001fff 0 1>; };")),
        Case(
            "/reserved-memory/b@40000fff: reg: 0x1000 bytes at 0x40000fff overlap /reserved-memory/a@40000000",
            storage(
                "storage-base = <0 0x40000000>;",
                more:
                    "a@40000000 { reg = <0 0x40000000 0 0x1000>; }; b@40000fff { reg = <0 0x40000fff 0 0x1000>; };"
            )),
        Case(
            "/reserved-memory/a@1: reg: 4 bytes are not a whole number of 16, and at least one",
            storage("storage-base = <0 0x40000000>;", more: "a@1 { reg = <1>; };")),
    ]

    static let otherCases: [Case] = [
        Case(
            "/reserved-memory: ranges: addresses that are translated are not understood: it must be empty",
            memory("memory@0", "reg = <0 0 0 0x1000>;")
                + "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges = <0 0 0 0 0 1>; };"),
        Case(
            "/reserved-memory: #size-cells: 5 is not between 1 and 4",
            memory("memory@0", "reg = <0 0 0 0x1000>;") + "reserved-memory { #size-cells = <5>; };"),
        Case(
            "/reserved-memory/a: reg: has a number of more than 64 bits",
            memory("memory@0", "reg = <0 0 0 0x1000>;")
                + "reserved-memory { #address-cells = <3>; #size-cells = <1>; ranges; a { reg = <1 0 0 1>; }; };"
        ),
        Case(
            "/reserved-memory: more than 128 reservations",
            memory("memory@0", "reg = <0 0 0 0x1000>;")
                + "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; "
                + (0..<129).map { "a@\($0) { reg = <0x\($0)0000 1>; };" }.joined() + "};"),
        Case(
            "/reserved-memory/t32: more than 32 tag storage nodes",
            memory("memory@0", "reg = <0 0 0 0x1000000>; arm,mte-alloc;")
                + "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges; "
                + (0..<33).map {
                    "t\($0) { compatible = \"arm,mte-tag-storage\"; reg = <1 \($0 * 0x1000) 0 0x1000>; storage-base = <0 \($0 * 0x20000)>; };"
                }.joined() + "};"),
        Case(
            "/reserved-memory/tags: tagged-memory: there is no memory node, or more than one, whose phandle is 0x1",
            memory("memory@0", "reg = <0 0 0 0x20000>; phandle = <1>;")
                + memory("memory@20000", "reg = <0 0x20000 0 0x20000>; linux,phandle = <1>;")
                + "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges; tags { compatible = \"arm,mte-tag-storage\"; reg = <1 0 0 0x1000>; tagged-memory = <1>; }; };"
        ),
        Case(
            "/memory@0: reg: has 2 ranges where one is needed",
            "m: " + memory("memory@0", "reg = <0 0 0 0x20000 0 0x20000 0 0x20000>;")
                + "tags { compatible = \"arm,mte-tag-storage\"; reg = <1 0 0 0x1000>; memory = <&m>; block-size = <1>; };"
        ),
        Case(
            "/memory@0: arm,no-mte: the 0x20000 bytes at 0x0 are not described by tag storage nodes",
            memory("memory@0", "reg = <0 0 0 0x20000>; arm,no-mte;")
                + "tags { compatible = \"arm,mte-tag-storage\"; reg = <1 0 0 0x1000>; storage-base = <0 0>; };"
        ),
        // 69 reservations, each from one memory into the next.
        Case(
            "/: more than 128 pieces of memory",
            memory(
                "memory@0",
                "reg = " + (0..<70).map { "<0 \($0 << 16) 0 0x10000>" }.joined(separator: ", ") + ";")
                + "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; "
                + (0..<69).map { "a@\($0) { reg = <\($0 << 16 + 0x8000) 0xc000>; };" }.joined() + "};"),
        // Tag storage that was made smaller than its memory node.
        Case(
            "/tags: reg: too small: it holds the tags of 0x20000 of the 0x40000 bytes at 0x0",
            memory("memory@0", "reg = <0 0 0 0x40000>; arm,mte-alloc;")
                + "tags { compatible = \"arm,mte-tag-storage\"; reg = <1 0 0 0x1000>; storage-base = <0 0>; };"
        ),
        // A NUMA node that ends within a block.
        Case(
            "/tags: block-size: 0x1000 bytes of tags are not a whole number of blocks of 0x2000 bytes",
            memory("memory@0", "reg = <0 0 0 0x20000>; numa-node-id = <0>;")
                + memory("memory@20000", "reg = <0 0x20000 0 0x20000>; numa-node-id = <1>;")
                + "tags { compatible = \"arm,mte-tag-storage\"; reg = <1 0 0 0x2000>; storage-base = <0 0>; block-size = <0x2000>; };"
        ),
    ]

    @Test("one line with the node and the property", arguments: memoryCases + storageCases + otherCases)
    func refused(_ refused: Case) throws {
        let tree = try DeviceTreeCompiler.tree(refused.body)
        let error = #expect(throws: DeviceTreeError.self) { try MachineDescription(tree) }
        #expect(error?.description == refused.message)
    }

    @Test(
        "cells of the root",
        arguments: [
            ("#address-cells = <0>;", "/: #address-cells: 0 is not between 1 and 4"),
            ("#size-cells = <5>;", "/: #size-cells: 5 is not between 1 and 4"),
            (
                "#size-cells = <1 1>;",
                "/: #size-cells: 8 bytes are not a whole number of 4, and at least one"
            ),
            (
                "#address-cells = <3>; #size-cells = <1>;", "/memory: reg: has a number of more than 64 bits"
            ),
        ])
    func cells(_ cells: String, _ message: String) throws {
        let tree = try DeviceTreeCompiler.tree(
            "memory { device_type = \"memory\"; reg = <1 0 0 0x1000>; };", cells: cells)
        let error = #expect(throws: DeviceTreeError.self) { try MachineDescription(tree) }
        #expect(error?.description == message)
    }

    @Test("the blob's own list of reservations")
    func reservationBlock() throws {
        var tree = try DeviceTree(describing: Maps.prototype(), in: .proposal)
        tree.memoryReservations = [.init(address: 1, size: .max)]
        #expect(
            #expect(throws: DeviceTreeError.self) { try MachineDescription(tree) }?.description
                == "the memory reservation block: 0xffffffffffffffff bytes at 0x1 reach past the 52-bit physical address space"
        )
        tree.memoryReservations = [.init(address: 1 << 40, size: 1)]
        #expect(
            #expect(throws: DeviceTreeError.self) { try MachineDescription(tree) }?.description
                == "the memory reservation block: 0x1 bytes at 0x10000000000 overlap /reserved-memory/tag-storage@10000000000"
        )
    }
}
