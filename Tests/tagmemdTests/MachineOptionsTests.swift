import ArgumentParser
import TagMemCore
import TagMemDeviceTree
import Testing

@testable import tagmemd

@Suite("MachineOptions") struct MachineOptionsTests {
    private func map(_ arguments: String...) throws -> MemoryMap {
        try MachineOptions.parse(arguments).makeMap()
    }

    @Test("a size and a base, or their defaults") func plain() throws {
        #expect(try map() == MemoryMap(base: PhysicalAddress(0x4000_0000), size: 1 << 30))
        #expect(
            try map("--size", "64M", "--base", "0x80000000")
                == MemoryMap(base: PhysicalAddress(0x8000_0000), size: 64 << 20))
        // Of a mount, options after -o say what these do not.
        let options = try MachineOptions.parse(["--size", "64M"])
        #expect(
            try options.makeMap(size: ByteCount(1 << 40), base: ByteCount(1 << 32))
                == MemoryMap(base: PhysicalAddress(1 << 32), size: 64 << 20))
    }

    @Test("QEMU's machine") func machine() throws {
        let options = "virt,virtualization=on,mte=on,mte-shared-alloc=on"
        let prototype = try VirtMachine(options)
        #expect(try map("--machine", options, "-m", "1G") == prototype.map(ram: 1 << 30))
        #expect(try map("--machine", options, "-m", "size=1024") == prototype.map(ram: 1 << 30))
        #expect(try map("--machine", options) == prototype.map(ram: 128 << 20))
        #expect(try map("--machine", options, "-m", "1000K") == prototype.map(ram: 1 << 20))
    }

    @Test("the dialect", arguments: DeviceTreeDialect.allCases) func dialect(_ dialect: DeviceTreeDialect)
        throws
    {
        let options = try MachineOptions.parse(["--dt-dialect", dialect.rawValue])
        let map = try options.makeMap()
        #expect(try options.makeDeviceTree(of: map) == DeviceTree(describing: map, in: dialect))
        #expect(
            try MachineOptions.parse([]).makeDeviceTree(of: map) == DeviceTree(describing: map, in: .proposal)
        )
    }

    @Test(
        "more than one machine, and half of one, are refused, by each command",
        arguments: [
            (["--dtb", "x", "--machine", "virt"], "--dtb"), (["--dtb", "x", "-m", "1G"], "--dtb"),
            (["--dtb", "x", "--size", "1G"], "--dtb"), (["--dtb", "x", "--base", "0"], "--dtb"),
            (["--machine", "virt", "--size", "1G"], "-m"),
            (["--machine", "virt", "--base", "0"], "--machine"),
            (["-m", "1G"], "--size"), (["-m", "1G", "--size", "1G"], "--size"), (["--size", "0"], "size 0"),
            (["--machine", "virt", "-m", "0"], "size 0"), (["--machine", "virt,x=y"], "'x'"),
            (["--machine", "virt", "-m", "1Q"], "1Q"), (["--dt-dialect", "rfc-v4"], "rfc-v4"),
        ] as [([String], String)])
    func refused(_ arguments: [String], _ text: String) {
        for (command, more) in [
            (MountCommand.self, ["/mnt"]), (DeviceTreeCommand.self, ["-o", "/dev/null"]),
        ] as [(any ParsableCommand.Type, [String])] {
            do {
                _ = try command.parse(arguments + more)
                Issue.record("accepted")
            } catch {
                #expect(command.exitCode(for: error) == .validationFailure)
                #expect(command.message(for: error).contains(text))
            }
        }
    }

    @Test("a size after -o is another machine, too", arguments: ["size=1G", "base=0"])
    func mountOptions(_ list: String) {
        for arguments in [["--dtb", "x"], ["--machine", "virt"]] {
            #expect(throws: (any Error).self) { try MountCommand.parse(arguments + ["-o", list, "/mnt"]) }
        }
    }

    @Test("a file that is none, and one that is no tree, are failures of one line that names it") func files()
        throws
    {
        for (path, text) in [
            ("/nonexistent", "No such file"), ("/", "Is a directory"), ("/dev/null", "malformed"),
            ("/dev/zero", "2097153 bytes are more"),
        ] {
            let error = #expect(throws: Failure.self) { try map("--dtb", path) }
            #expect(
                error?.description.hasPrefix("\(path): ") == true && error?.description.contains(text) == true
            )
        }
    }
}
