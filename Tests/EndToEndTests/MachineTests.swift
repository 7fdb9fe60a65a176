import Glibc
import Testing

/// Devices that are other machines than the default one.
@Suite("Machines", .timeLimit(.minutes(3))) struct MachineTests {
    private static let prototype = ["--machine", "virt,virtualization=on,mte=on,mte-shared-alloc=on"]
    private static let fixture: String = {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return tests.joined(separator: "/") + "/TagMemDeviceTreeTests/Fixtures/virt-mte-shared-1G.dtb"
    }()

    private func amounts(_ device: Device) throws -> [String: Int] {
        var amounts: [String: Int] = [:]
        for line in try contents(of: device.path("meminfo")).split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == ":" })
            amounts[String(words[0])] = Int(words[1])
        }
        return amounts
    }

    @Test("a device made from the prototype's tree is the prototype's machine")
    func golden() throws {
        var options = Device.Options()
        options.machine = ["--dtb", Self.fixture]
        try withDevice(options) { device in
            let mem = try device.open("phys/mem")
            #expect(try mem.status().st_size == 0x100_0200_0000)
            for address: UInt64 in [0x4000_0000, 0x7fff_ffff, 0x100_0000_0000, 0x100_01ff_ffff] {
                #expect(try mem.read(at: address, count: 1) == [0])
            }
            for address: UInt64 in [0x3fff_ffff, 0x8000_0000, 0xff_ffff_ffff] {
                #expect(throws: Errno(ENXIO)) { try mem.read(at: address, count: 1) }
            }
            let amounts = try amounts(device)
            #expect(amounts["DataTotal"] == 1 << 20 && amounts["TagStorageTotal"] == 1 << 15)
            let first = try device.open("blocks", O_RDONLY).read(at: 0, count: 82)
            #expect(String(decoding: first, as: UTF8.self).contains("0x0000040000000 free"))
            #expect(String(decoding: first, as: UTF8.self).contains("0x0010000000000 free"))

            try device.setTag(9, at: 0x4001_0000, granules: 512)
            #expect(try mem.read(at: 0x100_0000_0000 + 0x800, count: 2) == [0x99, 0x99])
            #expect(try device.openView(9).write("checked", at: 0x4001_0000) == 7)
            #expect(throws: Errno(EFAULT)) { try device.openView(8).write("checked", at: 0x4001_0000) }
            #expect(throws: Errno(ENXIO)) { try mem.read(at: 0x9000_0000, count: 1) }
            #expect(throws: Errno(EOPNOTSUPP)) { try device.openView(0).read(at: 0x100_0000_0000, count: 1) }

            try check { unsafe mkdir(device.path("tagged/a"), 0o700) }
            let object = try device.open("tagged/a/mem")
            try object.truncate(4 << 20)
            #expect(try self.amounts(device)["TagStorageReserved"] == 128)
        }
    }

    @Test(
        "what the device is can be read as a tree and as a blob, and makes the same machine again",
        arguments: [
            [], ["--dt-dialect", "rfc-v2"], ["--dt-dialect", "rfc-v3"], prototype + ["-m", "2G"],
            ["--machine", "virt,mte=on,mte-shared-alloc=off", "-m", "1G"],
            ["--machine", "virt,mte=off", "-m", "1G"],
            ["--size", "8M", "--page-size", "16K", "--block-size", "2"],
        ] as [[String]])
    func firmware(_ arguments: [String]) throws {
        var options = Device.Options()
        options.machine = arguments.isEmpty ? ["--size", "2M"] : arguments
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        let source = try withDevice(options) { device in
            let tree = try run("dtc", ["-I", "fs", "-O", "dts", device.path("firmware/devicetree")])
            let linked = try run("dtc", ["-I", "fs", "-O", "dts", device.path("firmware/devicetree/base/")])
            let blob = try run("dtc", ["-I", "dtb", "-O", "dts", "-s", device.path("firmware/fdt")])
            let sorted = try run("dtc", ["-I", "fs", "-O", "dts", "-s", device.path("firmware/devicetree")])
            #expect(tree.succeeded && tree.output == linked.output)
            #expect(blob.succeeded && blob.output == sorted.output && blob.output.contains("memory@"))
            #expect(try run("cp", [device.path("firmware/fdt"), "\(directory)/fdt"]).succeeded)
            #expect(throws: Errno(EACCES)) { try device.open("firmware/fdt", O_WRONLY) }
            #expect(throws: Errno(EPERM)) { try check { unsafe rmdir(device.path("firmware/devicetree")) } }
            return blob.output
        }
        var again = Device.Options()
        again.machine = ["--dtb", "\(directory)/fdt"]
        if let index = arguments.firstIndex(of: "--dt-dialect") {
            again.machine += arguments[index...(index + 1)]
        }
        if let index = arguments.firstIndex(of: "--page-size") {
            again.machine += arguments[index...(index + 1)]
        }
        try withDevice(again) { device in
            let blob = try run("dtc", ["-I", "dtb", "-O", "dts", "-s", device.path("firmware/fdt")])
            #expect(blob.output == source)
        }
    }

    @Test(
        "pages and Tag Blocks have the sizes that are asked for",
        arguments: [("16K", 4, 16), ("64K", 1, 64), ("4K", 2, 4)])
    func pageSizes(_ page: String, _ blockSize: Int, _ kilobytes: Int) throws {
        var options = Device.Options()
        options.machine = ["--size", "32M", "--page-size", page, "--block-size", "\(blockSize)"]
        try withDevice(options) { device in
            for name in ["tagged/a", "untagged/b"] { try check { unsafe mkdir(device.path(name), 0o700) } }
            let object = try device.open("tagged/a/mem")
            try object.truncate(kilobytes * 1024 + 1)
            #expect(try amounts(device)["Tagged"] == 2 * kilobytes)
            #expect(try amounts(device)["TagStorageReserved"] == blockSize * kilobytes)
            #expect(try contents(of: device.path("tagged/a/pages")).split(separator: "\n").count == 2)
            // Beyond the end within the last page: zero when it grows.
            let map = try device.open("untagged/b/mem")
            let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            #expect(try map.write(bytes, at: 5) == bytes.count)
            try map.truncate(4096 + 7)
            try map.truncate(bytes.count)
            #expect(try map.read(at: 0, count: 4096 + 7) == [0, 0, 0, 0, 0] + bytes[..<4098])
            #expect(try map.read(at: 4096 + 7, count: 60_000).allSatisfy { $0 == 0 })
        }
    }

    @Test("memory without tags, and tags without an address")
    func otherMemory() throws {
        var options = Device.Options()
        options.machine = ["--machine", "virt,mte=off", "-m", "1G"]
        options.runsOut = true
        try withDevice(options) { device in
            #expect(throws: Errno(EOPNOTSUPP)) { try device.openView(0).read(at: 0x4000_0000, count: 1) }
            try check { unsafe mkdir(device.path("untagged/a"), 0o700) }
            try device.open("untagged/a/mem").truncate(8 << 20)
            #expect(try amounts(device)["Untagged"] == 8 << 10)
            try check { unsafe mkdir(device.path("tagged/a"), 0o700) }
            #expect(throws: Errno(ENOSPC)) { try device.open("tagged/a/mem").truncate(4096) }
        }
        options.machine = ["--machine", "virt,mte=on,mte-shared-alloc=off", "-m", "1G"]
        options.runsOut = false
        try withDevice(options) { device in
            try check { unsafe mkdir(device.path("tagged/a"), 0o700) }
            try device.open("tagged/a/mem").truncate(8 << 20)
            try device.open("tagged/a/tags.hex").write("77", at: 0)
            #expect(try device.open("tagged/a/views/7").write("carved out", at: 0) == 10)
            #expect(throws: Errno(EFAULT)) { try device.open("tagged/a/views/6").read(at: 0, count: 1) }
            let amounts = try amounts(device)
            #expect(amounts["Tagged"] == 8 << 10 && amounts["TagStorageTotal"] == 0)
            #expect(amounts["TagStorageGivenBack"] == 0)
            try check { unsafe mkdir(device.path("untagged/b"), 0o700) }
            let rest = try #require(amounts["UntaggedAvailable"])
            #expect(rest == (1 << 20) - (8 << 10))
            try device.open("untagged/b/mem").truncate(rest << 10)
            #expect(try self.amounts(device)["Free"] == 0)
        }
    }
}
