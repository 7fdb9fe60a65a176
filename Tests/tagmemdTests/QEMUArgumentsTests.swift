import ArgumentParser
import Testing

@testable import tagmemd

@Suite("QEMU's command line") struct QEMUArgumentsTests {
    private func arguments(_ words: String...) throws -> QEMUArguments { try QEMUArguments("qemu", words) }

    @Test("a machine with tags, as QEMU takes it")
    func machines() throws {
        for words in [
            ["-machine", "virt,mte=on"], ["--machine", "virt,mte=on"], ["-M", "virt-10.0,mte=on"],
            ["-M", "mte=yes,type=virt"], ["-M", "virt", "-machine", "mte=on"],
            ["-M", "virt,mte=off", "-M", "mte=on"], ["-M", "virt,mte=on", "-accel", "tcg,thread=multi"],
            ["-M", "virt,mte=on,accel=tcg"], ["-append", "-daemonize", "-M", "virt,mte=on"],
        ] {
            #expect(try QEMUArguments("qemu", words).words == words)
        }
    }

    @Test(
        "what cannot have its memory on a device is said",
        arguments: [
            (["-M", "virt"], "no tags"), (["-M", "virt,mte=on", "-M", "mte=off"], "no tags"), ([], "no type"),
            (["-M", "raspi4b,mte=on"], "raspi4b"), (["-M", "virt,mte=on", "-enable-kvm"], "'kvm'"),
            (["-M", "virt,mte=on", "-accel", "kvm"], "'kvm'"),
            (["-M", "virt,mte=on,accel=kvm:tcg"], "'kvm'"),
            (["-M", "virt,mte=on,memory-backend=ram"], "memory-backend"),
            (["-M", "virt,mte=on", "-daemonize"], "-daemonize"),
            (["-append", "-M", "virt,mte=on"], "no type"),
        ])
    func refused(_ words: [String], _ part: String) throws {
        let error = #expect(throws: ValidationError.self) { try QEMUArguments("qemu", words) }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test("what QEMU would have by itself beside its monitor stays")
    func monitors() throws {
        let machine = ["-M", "virt,mte=on"]
        for (words, expected) in [
            (["-nographic"], ["-serial", "mon:stdio"]), ([], ["-monitor", "vc:80Cx24C"]),
            (["-nographic", "-serial", "stdio"], ["-monitor", "stdio"]),
            (["-nographic", "-qmp", "stdio"], []),
            (["-nographic", "-monitor", "none"], []), (["-nographic", "-nodefaults"], []),
        ] as [([String], [String])] {
            #expect(try QEMUArguments("qemu", machine + words).defaultMonitors == expected)
        }
    }

    @Test("options and their values")
    func options() throws {
        var arguments = try arguments(
            "-M", "virt,mte=on", "-S", "-m", "1G", "--kernel", "Image", "-append", "-S")
        #expect(arguments.isStopped && arguments.hasMemory && arguments.memory == QEMUSize(bytes: 1 << 30))
        #expect(arguments.values(of: ["kernel", "append"]) == ["Image", "-S"])
        #expect(
            try self.arguments("-M", "virt,mte=on", "-m", "maxmem=2G,size=512M").memory
                == QEMUSize(bytes: 512 << 20))
        #expect(arguments.bootsByMachine == nil)
        #expect(try self.arguments("-M", "virt,mte=on", "-M", "kernel=x").bootsByMachine == "kernel")
        arguments.remove(["kernel", "append", "m"])
        #expect(arguments.words == ["-M", "virt,mte=on", "-S"])
        #expect(try !self.arguments("-M", "virt,mte=on", "-append", "-S").isStopped)
    }

    @Test("the block of the tags in what QEMU says of its memory")
    func blocks() {
        // As QEMU 10.0 says it, shortened.
        let listing = """
            {"return": "  Block Name    PSize   Offset   Used   Total   HVA  RO\\r\\n\
             mach-virt.ram    4 KiB  0x0000000000000000 0x0000000080000000 0x0000000080000000 0x00007f1797e00000  rw\\r\\n\
               virt.flash0    4 KiB  0x0000000080000000 0x0000000004000000 0x0000000004000000 0x00007f1793c00000  rw\\r\\n\
             mach-virt.tag    4 KiB  0x0000000088000000 0x0000000004000000 0x0000000004000000 0x00007f178b800000  rw\\r\\n"}
            """
        let block = QEMUMemoryBlock("mach-virt.tag", in: listing)
        #expect(block?.address == 0x7f17_8b80_0000 && block?.size == 64 << 20)
        #expect(QEMUMemoryBlock("mach-virt.secure-tag", in: listing) == nil)
        #expect(QEMUMemoryBlock("mach-virt.tag", in: listing.replacing("0x", with: "")) == nil)
    }
}
