import TestSupport
import Testing

@testable import TagMemDeviceTree

@Suite("DeviceTree") struct DeviceTreeTests {
    typealias Node = DeviceTree.Node

    static let tree = DeviceTree(
        root: Node(
            "", [.cells("#address-cells", 1, 0xdead_beef), .flag("empty"), .string("text", "hello")],
            children: [
                Node("a@1", [.numbers("reg", 1, .max)], children: [Node("b"), Node("c", [.flag("reg")])]),
                Node("a@2"),
            ]), memoryReservations: [.init(address: 1 << 40, size: 3)])

    @Test("what is written is what is read, by us and by dtc") func roundTrip() throws {
        let blob = Self.tree.flattened()
        #expect(try DeviceTree(blob: blob) == Self.tree)
        #expect(try DeviceTree(blob: blob + [UInt8](repeating: 0xff, count: 4096)) == Self.tree)
        let source = try DeviceTreeCompiler.source(of: blob).text
        #expect(try DeviceTree(blob: DeviceTreeCompiler.blob(of: source)) == Self.tree)
        for line in [
            "/memreserve/\t0x0000010000000000 0x0000000000000003;", "text = \"hello\";", "empty;", "c {",
        ] {
            #expect(source.contains(line), "\(line)")
        }
    }

    @Test("nodes are found by path, values by name") func lookup() {
        #expect(Self.tree["/"] == Self.tree.root)
        #expect(Self.tree["/a@1/c"]?["reg"] == [])
        #expect(Self.tree["/a@1"]?["reg"] == [0, 0, 0, 0, 0, 0, 0, 1] + Array(repeating: 0xff, count: 8))
        #expect(Self.tree["/a@1/d"] == nil && Self.tree["/a"] == nil && Self.tree.root["nothing"] == nil)
    }

    @Test("a blob that is cut off anywhere is refused") func truncated() throws {
        let blob = Self.tree.flattened()
        for length in 0..<blob.count {
            let error = #expect(throws: DeviceTreeError.self) { try DeviceTree(blob: Array(blob[..<length])) }
            #expect(
                error?.node == nil && error?.description.hasPrefix("the device tree: malformed (") == true)
        }
    }

    @Test("lengths that wrap around are refused, and nothing goes round in circles", .timeLimit(.minutes(1)))
    func wrappingLengths() throws {
        let blob = Self.tree.flattened()
        let property = try #require(
            blob.indices.first { blob[$0...].starts(with: [0, 0, 0, 3, 0, 0, 0, 8]) })
        for low in 0xe0...0xff as ClosedRange<UInt8> {
            for high: [UInt8] in [[0xff, 0xff, 0xff], [0x7f, 0xff, 0xff], [0x80, 0, 0], [0, 0, 1]] {
                var wrong = blob
                wrong.replaceSubrange(property + 4..<property + 8, with: high + [low])
                let error = #expect(throws: DeviceTreeError.self) { try DeviceTree(blob: wrong) }
                #expect(error?.description.contains("malformed") == true, "\(high) \(low)")
            }
        }
    }

    @Test("what is no blob is refused") func noBlob() {
        for blob in [[], [0], Array("/dts-v1/; / { };".utf8), [UInt8](repeating: 0, count: 100)] {
            #expect(throws: DeviceTreeError.self) { try DeviceTree(blob: blob) }
        }
        let large = [UInt8](repeating: 0, count: DeviceTree.maximumSize + 1)
        #expect(throws: DeviceTreeError(.tooLarge(bytes: large.count))) { try DeviceTree(blob: large) }
    }

    @Test("nodes within nodes are limited") func depth() throws {
        func nested(_ depth: Int) -> DeviceTree {
            var node = Node("x")
            for _ in 0..<depth { node = Node("x", children: [node]) }
            return DeviceTree(root: Node("", children: [node]))
        }
        let deepest = nested(DeviceTree.maximumDepth - 2)
        #expect(try DeviceTree(blob: deepest.flattened()) == deepest)
        let error = #expect(throws: DeviceTreeError.self) {
            try DeviceTree(blob: nested(DeviceTree.maximumDepth - 1).flattened())
        }
        #expect(error?.problem == .tooDeep(64))
    }

    @Test("names that could not be a file's are refused, and those that are there twice")
    func names() throws {
        func read(_ children: [String], _ properties: [String] = []) throws {
            let root = Node(
                "", children: [Node("n", properties.map { .flag($0) }, children: children.map { Node($0) })])
            _ = try DeviceTree(blob: DeviceTree(root: root).flattened())
        }
        let longest = String(repeating: "x", count: 255)
        try read([longest, "a", "#b"], [longest, "a"])
        for name in ["", ".", "..", "a b", "a\u{7f}", "a\u{1b}[m", "ä", longest + "x"] {
            #expect(throws: DeviceTreeError(.name, node: "/n"), "\(name)") { try read([name]) }
            #expect(throws: DeviceTreeError(.name, node: "/n"), "\(name)") { try read([], [name]) }
        }
        #expect(throws: DeviceTreeError(.name, node: "/n")) { try read([], ["a/b"]) }
        #expect(throws: DeviceTreeError(.twice("a"), node: "/n")) { try read(["a", "b", "a"]) }
        #expect(throws: DeviceTreeError(.twice("a"), node: "/n")) { try read([], ["a", "b", "a"]) }
    }

    @Test("versions before 16 are refused, in which names were paths") func oldVersions() throws {
        var blob = Self.tree.flattened()
        for version in 0..<16 as Range<UInt8> {
            blob[23] = version
            let error = #expect(throws: DeviceTreeError.self) { try DeviceTree(blob: blob) }
            #expect(error?.problem == .malformed("version \(version)"))
        }
        blob[23] = 16
        #expect(try DeviceTree(blob: blob) == Self.tree)
    }

    @Test("properties and nodes that were taken out are not there") func nops() throws {
        // Property: tag, length, name, value. Node: tag, name, end.
        var blob = try DeviceTreeCompiler.blob(of: "/dts-v1/; / { keep = <1>; drop = <2>; a { }; b { }; };")
        func drop(_ words: Int, from word: [UInt8], at distance: Int) throws {
            let starts = stride(from: 40, to: blob.count - 16, by: 4)
            let place = starts.first { Array(blob[$0 + distance..<$0 + distance + 4]) == word }
            let start = try #require(place)
            for index in 0..<words {
                blob.replaceSubrange(start + index * 4..<start + index * 4 + 4, with: [0, 0, 0, 4])
            }
        }
        try drop(4, from: [0, 0, 0, 2], at: 12)
        try drop(3, from: Array("a\0\0\0".utf8), at: 4)
        let tree = try DeviceTree(blob: blob)
        #expect(tree.root.properties.map(\.name) == ["keep"] && tree.root.children.map(\.name) == ["b"])
    }
}
