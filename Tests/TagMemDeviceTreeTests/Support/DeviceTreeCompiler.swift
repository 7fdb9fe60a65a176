import Glibc
import TestSupport
import Testing

@testable import TagMemDeviceTree

/// `dtc`, the usual compiler of device trees: what it reads and writes is the yardstick.
enum DeviceTreeCompiler {
    /// The blob of a source text. Sources that dtc itself would refuse are compiled too.
    static func blob(of source: String) throws -> [UInt8] {
        try withTemporaryDirectory { directory in
            try write(Array(source.utf8), to: "\(directory)/in")
            try run("-q -q -f -I dts -O dtb -o \(directory)/out \(directory)/in")
            return try read("\(directory)/out")
        }
    }

    /// The tree of what is between the braces of the root, with two cells for addresses and sizes.
    static func tree(_ body: String, cells: String = "#address-cells = <2>; #size-cells = <2>;") throws
        -> DeviceTree
    {
        try DeviceTree(blob: blob(of: "/dts-v1/; / { \(cells) \(body) };"))
    }

    /// The source text of a blob, and whatever dtc has to say about it.
    static func source(of blob: [UInt8]) throws -> (text: String, warnings: String) {
        try withTemporaryDirectory { directory in
            try write(blob, to: "\(directory)/in")
            let warnings = try run("-I dtb -O dts -o \(directory)/out \(directory)/in")
            return (String(decoding: try read("\(directory)/out"), as: UTF8.self), warnings)
        }
    }

    /// The blob of a tree that lies there as directories and files, as under /sys/firmware/devicetree.
    static func blob(ofFilesOf tree: DeviceTree) throws -> [UInt8] {
        try withTemporaryDirectory { directory in
            try unpack(tree.root, to: "\(directory)/tree")
            try run("-q -q -I fs -O dtb -o \(directory)/out \(directory)/tree")
            return try read("\(directory)/out")
        }
    }

    private static func unpack(_ node: DeviceTree.Node, to path: String) throws {
        let result = unsafe mkdir(path, 0o700)
        try #require(result == 0)
        for property in node.properties { try write(property.value, to: "\(path)/\(property.name)") }
        for child in node.children { try unpack(child, to: "\(path)/\(child.name)") }
    }

    /// What dtc writes to stderr. Its arguments are no words of others, so a shell may see them.
    @discardableResult
    private static func run(_ arguments: String) throws -> String {
        guard let stream = unsafe popen("dtc \(arguments) 2>&1 </dev/null", "r") else {
            throw FixtureError(path: "dtc")
        }
        var output: [UInt8] = []
        while case let byte = unsafe fgetc(stream), byte != EOF {
            output.append(UInt8(truncatingIfNeeded: byte))
        }
        let status = unsafe pclose(stream)
        let text = String(decoding: output, as: UTF8.self)
        try #require(status == 0, "dtc \(arguments): \(text)")
        return text
    }
}

/// A directory that is gone afterwards, with all in it.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/tagmemd-dtc-XXXXXX".utf8CString)
    let made = unsafe mkdtemp(&template) != nil
    try #require(made)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = unsafe system("rm -r \(path)") }
    return try body(path)
}

func write(_ bytes: [UInt8], to path: String) throws {
    guard let stream = unsafe fopen(path, "w") else { throw FixtureError(path: path) }
    defer { unsafe fclose(stream) }
    let count = unsafe fwrite(bytes, 1, bytes.count, stream)
    try #require(count == bytes.count)
}

func read(_ path: String) throws -> [UInt8] {
    guard let stream = unsafe fopen(path, "r") else { throw FixtureError(path: path) }
    defer { unsafe fclose(stream) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = unsafe fread(&chunk, 1, chunk.count, stream), count > 0 {
        bytes += chunk[..<count]
    }
    return bytes
}
