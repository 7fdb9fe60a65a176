import Glibc
import InstructionLog
import TestSupport
import Testing

/// Machines that run on a device, in a QEMU that `Scripts/guest` has made. `make test-guest` runs them.
@Suite("Guests", .serialized, .timeLimit(.minutes(5))) struct GuestTests {
    private static let base: UInt64 = 0x4000_0000

    /// What `mte-clauses` says, line by line.
    private func expectClauses(_ guest: Guest, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let outcome = guest.command.finish(within: 120, sourceLocation: sourceLocation)
        let expected = try fixtureLines("mte-clauses.txt").map(String.init) + ["exit 0"]
        #expect(outcome.ending == .exited(0), "\(outcome)", sourceLocation: sourceLocation)
        // The kernel's own lines have a time.
        #expect(guest.lines.filter { !$0.hasPrefix("[") } == expected, sourceLocation: sourceLocation)
    }

    @Test("Every clause of Linux's documentation holds while pages move", arguments: [1, 2])
    func clauses(_ processors: Int) throws {
        try withDevice(size: "1G", limit: 200) { device in
            let churn = try Churn(device, "tagged/vm", pages: 256 << 8)
            let guest = try Guest(device, "tagged/vm", "mte-clauses", processors: processors)
            try expectClauses(guest)
            let moved = try churn.end()
            #expect(moved > 1000, "only \(moved) pages moved")
        }
    }

    @Test("A heap keeps its data and its tags while pages move") func heap() throws {
        try withDevice(size: "1G", limit: 200) { device in
            let churn = try Churn(device, "tagged/vm", pages: 256 << 8)
            let guest = try Guest(device, "tagged/vm", "mte-heap", 20, 128, processors: 2)
            let outcome = guest.command.finish(within: 120)
            let moved = try churn.end()
            #expect(outcome.ending == .exited(0), "\(outcome)")
            #expect(guest.lines.contains { $0.hasSuffix("none bad") } && guest.lines.contains("exit 0"))
            #expect(moved > 5000, "only \(moved) pages moved")
        }
    }

    @Test("The shell sees and changes a guest's bytes and tags") func poke() throws {
        try withDevice(size: "512M", limit: 120) { device in
            try device.make("tagged/vm", pages: 256 << 8)
            let guest = try Guest(device, "tagged/vm", "mte-demo")
            let line = try guest.waitForLine("page 0 is at physical address 0x")
            let address = try #require(UInt64(line.split(separator: "x").last ?? "", radix: 16)) - Self.base
            let tag = try #require(try guest.waitForLine("pointer 0x").last)
            let tags = try device.open("tagged/vm/tags.hex")
            let digit = try #require(tag.asciiValue)
            #expect(try tags.read(at: address / 16, count: 256) == [UInt8](repeating: digit, count: 256))
            // A digit that is not the pointer's; and the old one again.
            let other = digit == UInt8(ascii: "3") ? UInt8(ascii: "4") : UInt8(ascii: "3")
            try tags.write([other], at: address / 16 + 5)
            let fault = try guest.waitForLine("SEGV_MTESERR")
            #expect(fault.contains("50: somebody changed the tag"), "\(fault)")
            try tags.write([digit], at: address / 16 + 5)
            _ = try guest.waitForLine("the tags fit again")
            // Bytes through the view of the tag.
            let view = try device.open("tagged/vm/views/\(tag)")
            #expect(try view.read(at: address, count: 19) == Array("The quick brown fox".utf8))
            try view.write(Array("A slow white cat \0".utf8), at: address)
            #expect(try guest.waitForLine("are now").contains("A slow white cat"))
            guest.command.kill()
            #expect(guest.command.wait(seconds: 10) != nil)
        }
    }

    @Test("A debugger shows the tags that the shell shows", arguments: [1, 2])
    func debugger(_ processors: Int) throws {
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        let socket = "\(directory)/gdb"
        try withDevice(size: "512M", limit: 150) { device in
            try device.make("tagged/vm", pages: 128 << 8)
            let guest = try Guest(
                device, "tagged/vm", "mte-demo", processors: processors,
                options: ["-S", "-gdb", "unix:\(socket),server=on,wait=off"])
            func debug(_ commands: [String]) throws -> [String] {
                let all = ["target remote \(socket)", "break sleep", "continue"] + commands + ["detach"]
                let outcome = try run(
                    GuestFolder.debugger,
                    ["-nx", "-batch", "\(GuestFolder.path)/programs/mte-demo"] + all.flatMap { ["-ex", $0] },
                    timeout: 60)
                #expect(outcome.succeeded, "\(outcome)")
                return outcome.output.split(separator: "\n").filter { $0.hasPrefix("$") }.map(String.init)
            }
            #expect(eventually(within: 30) { (try? status(of: socket)) != nil })
            sleep(2)
            // -S: nobody has let it run.
            #expect(guest.lines.isEmpty)
            #expect(try debug([]).isEmpty)
            let page = try guest.waitForLine("page 0 is at physical address 0x")
            let address = try #require(UInt64(page.split(separator: "x").last ?? "", radix: 16)) - Self.base
            let line = try guest.waitForLine("pointer 0x")
            let pointer = try #require(line.split(separator: " ").dropFirst().first?.dropLast())
            let tag = try #require(line.last)
            let other: Character = tag == "3" ? "4" : "3"
            let write =
                "shell printf %s | dd of=\(device.path("tagged/vm/tags.hex")) bs=1 seek=\(address / 16) status=none"
            let print = "memory-tag print-allocation-tag \(pointer)"
            let shown = try debug([
                print, write.replacing("%s", with: "\(other)"), print, write.replacing("%s", with: "\(tag)"),
                print,
            ])
            #expect(shown == ["$1 = 0x\(tag)", "$2 = 0x\(other)", "$3 = 0x\(tag)"])
            guest.command.kill()
            #expect(guest.command.wait(seconds: 10) != nil)
        }
    }

    @Test("Tag instructions do what the model says they do", .repeatable) func reference() throws {
        try withSeed { generator in
            try withDevice(size: "512M", limit: 150) { device in
                try device.make("tagged/vm", pages: 128 << 8)
                let seed = Int(generator.next() % 1_000_000) + 1
                let guest = try Guest(device, "tagged/vm", "mte-log", seed, 3000)
                #expect(guest.command.finish(within: 120).ending == .exited(0))
                let lines = guest.lines.map { $0[...] }
                #expect(lines.contains("exit 0"))
                let machine = try LogMachine(lines)
                var replay = try LogReplay(machine, on: ModelTarget(machine))
                for line in lines { try replay.replay(line) }
                #expect(replay.counts["OP"] == 3000)
                #expect(replay.counts["DH", default: 0] > 50 && replay.counts["TS", default: 0] > 1500)
                for name in [
                    "IRG", "ADDG", "SUBG", "GMI", "SUBP", "SUBPS", "LDG", "STG", "ST2G", "STZG", "STZ2G",
                    "STGP", "fault",
                ] { #expect(replay.counts[name, default: 0] > 10, "\(name)") }
            }
        }
    }

    @Test("A file is mapped into another program on arm64, too") func mapped() throws {
        try withDevice(size: "512M", limit: 100) { device in
            try device.make("tagged/vm", pages: 128 << 8)
            let guest = try Guest(device, "tagged/vm", "mapother")
            #expect(guest.command.finish(within: 60).ending == .exited(0))
            #expect(guest.lines.contains("ok mapother") && guest.lines.contains("exit 0"))
        }
    }

    @Test("A guest that is killed leaves an object that can be used again") func killed() throws {
        try withDevice(size: "512M", limit: 150) { device in
            let churn = try Churn(device, "tagged/vm", pages: 128 << 8)
            for isQEMU in [false, true] {
                let guest = try Guest(device, "tagged/vm", "mte-heap", 60, 64)
                sleep(4)
                let process = try #require(guest.process)
                let other = try Guest(device, "tagged/vm", "mte-clauses").command.finish()
                #expect(other.ending == .exited(1) && other.errors.contains("in use by another machine"))
                #expect(kill(isQEMU ? process : guest.command.pid, SIGKILL) == 0)
                #expect(guest.command.wait(seconds: 20) == .killed(signal: SIGKILL))
                #expect(eventually(within: 20) { !isAlive(process) })
            }
            try expectClauses(Guest(device, "tagged/vm", "mte-clauses"))
            _ = try churn.end()
        }
    }

    @Test("A guest whose device is killed ends") func killedDaemon() throws {
        try withDevice(size: "512M", limit: 100, expectsDeath: true) { device in
            try device.make("tagged/vm", pages: 128 << 8)
            let guest = try Guest(device, "tagged/vm", "mte-heap", 60, 64)
            sleep(4)
            let process = try #require(guest.process)
            device.daemon.signal(SIGKILL)
            #expect(guest.command.wait(seconds: 20) != nil)
            #expect(eventually(within: 20) { !isAlive(process) })
        }
    }

    @Test("Memory that is pulled from under a guest ends it, and no one else") func pulled() throws {
        try withDevice(size: "512M", limit: 100) { device in
            let memory = try device.make("tagged/vm", pages: 128 << 8)
            let guest = try Guest(device, "tagged/vm", "mte-heap", 60, 64)
            sleep(4)
            try memory.truncate(4096)
            #expect(guest.command.wait(seconds: 20) == .killed(signal: SIGBUS))
            try memory.truncate(128 << 20)
            try expectClauses(Guest(device, "tagged/vm", "mte-clauses"))
        }
    }

    @Test("A machine uses its tag storage as memory, and the shell sees tags") func tagPages() throws {
        try BareProgram(address: 0x6000_0000).withOptions { program in
            try withDevice(size: "512M", limit: 60) { device in
                let machine = try Program(
                    daemonProgram,
                    [
                        "qemu", device.path("phys"), GuestFolder.qemu, "-M", "virt,mte=on", "-cpu", "max",
                        "-nodefaults", "-display", "none",
                    ] + program)
                defer { machine.kill() }
                // Through each file the count goes on, so each takes the page from the machine and gives it back.
                for name in ["phys/tags", "phys/mem", "phys/tags.hex"] {
                    let file = try device.open(name)
                    let offset =
                        name == "phys/mem"
                        ? device.map.tagBase : device.map.base / (name == "phys/tags" ? 32 : 16)
                    var last: [UInt8] = []
                    for _ in 0..<20 {
                        #expect(
                            try eventually(within: 30) {
                                let count = try file.read(at: offset, count: 8)
                                defer { last = count }
                                return !last.isEmpty && count != last
                            }, "\(name): \(machine.errors)")
                    }
                }
                // Tags of granules 16 to 31: the next word.
                try device.open("phys/tags.hex").write(
                    Array("5000000000000000".utf8), at: device.map.base / 16 + 16)
                #expect(machine.wait(seconds: 30) == .exited(0))
                #expect(try device.memory(at: device.map.tagBase + 8, count: 8) == [5, 0, 0, 0, 0, 0, 0, 0])
            }
        }
    }

    @Test(
        "The kernel is told of tag storage in each dialect",
        arguments: [
            ("proposal", "/proc/device-tree/reserved-memory/tag-storage@60000000"),
            ("rfc-v2", "/proc/device-tree/tag-storage@60000000"),
            ("rfc-v3", "/proc/device-tree/reserved-memory/tag-storage@60000000"),
        ])
    func dialects(_ dialect: String, _ node: String) throws {
        try withDevice(size: "512M", limit: 60) { device in
            let guest = try Guest(
                device, "phys", "busybox,find,/proc/device-tree/,-name,tag-storage*",
                command: ["--dt-dialect", dialect])
            #expect(guest.command.finish(within: 40).ending == .exited(0))
            #expect(guest.lines.filter { !$0.hasPrefix("[") } == [node, "exit 0"], "\(guest.lines)")
        }
    }

    @Test("A heap keeps its data and its tags on all of the device, while it is read") func physicalHeap()
        throws
    {
        try withDevice(size: "512M", limit: 150) { device in
            let guest = try Guest(device, "phys", "mte-heap", 15, 128, processors: 2)
            let size = device.map.size / 32
            var looks = 0
            // Both ways to see the tags take them away from the machine.
            while guest.command.poll() == nil {
                let start = UInt64.random(in: 0..<size / 65536) * 65536
                _ = try device.memory(at: device.map.tagBase + start, count: 65536)
                _ = try device.open("phys/tags").read(at: device.map.base / 32 + start, count: 65536)
                looks += 1
            }
            #expect(guest.command.finish().ending == .exited(0))
            #expect(guest.lines.contains { $0.hasSuffix("none bad") } && guest.lines.contains("exit 0"))
            #expect(looks > 100, "only \(looks) looks")
        }
    }

    @Test("A machine that has all of the device", arguments: [1, 2]) func physical(_ processors: Int) throws {
        try withDevice(size: "512M", limit: 150) { device in
            let guest = try Guest(device, "phys", "mte-clauses", processors: processors)
            #expect(eventually(within: 30) { (try? device.knob("claim")) == "1\n" })
            #expect(unsafe mkdir(device.path("tagged/x"), 0o755) == -1 && errno == EBUSY)
            try expectClauses(guest)
            // Its tags are the bytes of its tag storage.
            let size = device.map.size / 32
            var used = 0
            for start in stride(from: 0, to: size, by: 1 << 20) {
                let count = Int(min(1 << 20, size - start))
                let bytes = try device.memory(at: device.map.tagBase + start, count: count)
                #expect(
                    try device.open("phys/tags").read(at: device.map.base / 32 + start, count: count) == bytes
                )
                used += bytes.count { $0 != 0 }
            }
            #expect(used > 1000, "only \(used) bytes of tags")
            #expect(eventually { (try? device.make("tagged/x")) != nil })
            let refused = try Guest(device, "phys", "mte-clauses").command.finish()
            #expect(refused.ending == .exited(1) && refused.errors.contains("there are objects"))
        }
    }
}
