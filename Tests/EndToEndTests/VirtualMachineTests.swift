import Glibc
import Testing

/// The device as the memory of a real virtual machine: QEMU maps it, and the shell sees what the machine does.
@Suite("QEMU", .timeLimit(.minutes(3))) struct VirtualMachineTests {
    private func word(_ file: File, _ offset: UInt64) throws -> UInt64 {
        try file.read(at: offset, count: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// - Parameters:
    ///   - path: the file that is the machine's memory from 0x40000000 on.
    ///   - size: of it, in MiB.
    private func boot(_ path: String, size: Int) throws {
        try BareProgram(address: 0x4030_0000).withOptions { program in
            let machine = try Program(
                "qemu-system-aarch64",
                [
                    "-M", "virt,memory-backend=ram", "-cpu", "max", "-m", "\(size)M", "-nodefaults",
                    "-display",
                    "none",
                    "-object", "memory-backend-file,id=ram,mem-path=\(path),share=on,size=\(size)M",
                ] + program)
            defer { machine.kill() }
            let memory = try File(path, O_RDWR)
            var last: UInt64 = 0
            for _ in 0..<3 {
                let isCounting = try eventually(within: 30) {
                    let count = try word(memory, 0x30_0000)
                    defer { last = count }
                    return count > last
                }
                try #require(isCounting, "the machine does not count: \(machine.errors)")
            }
            try memory.write([42, 0, 0, 0, 0, 0, 0, 0], at: 0x30_0008)
            #expect(machine.wait(seconds: 30) == .exited(0))
            #expect(try word(memory, 0x30_0010) == 42)
            #expect(try word(memory, 0x30_0000) >= last)
        }
    }

    @Test("an untagged object is a machine's memory")
    func object() throws {
        try withDevice(size: "128M") { device in
            try check { unsafe mkdir(device.path("untagged/vm"), 0o700) }
            try device.open("untagged/vm/mem").truncate(64 << 20)
            try boot(device.path("untagged/vm/mem"), size: 64)
        }
    }

    @Test("all memory of a device at address 0 is a machine's memory")
    func physicalMemory() throws {
        var options = Device.Options()
        options.machine = ["--size", "64M", "--base", "0"]
        try withDevice(options) { device in try boot(device.path("phys/mem"), size: 64) }
    }
}
