import Glibc
import TestSupport
import Testing

@Suite("Bad input: refused, without harm", .timeLimit(.minutes(2)))
struct BadInputTests {
    @Test("Offsets that no memory has") func offsets() throws {
        try withDevice { device in
            for name in ["mem", "views/0", "checked", "tags", "tags.hex", "mode", "tfsr"] {
                let file = try device.open("phys/\(name)")
                for offset: UInt64 in [.max, 1 << 63, .max - 4095] {
                    #expect(throws: Errno(EINVAL), "\(name)") { try file.read(at: offset, count: 1) }
                    #expect(throws: Errno(EINVAL), "\(name)") { try file.write([1], at: offset) }
                }
                let farAway: [UInt64] = [.max >> 1, .max >> 1 - 1, 1 << 62, 1 << 56 - 1, 1 << 52]
                for offset in farAway {
                    if name != "mode", name != "tfsr" {
                        #expect(throws: Errno.self, "\(name) \(offset)") { try file.write([1], at: offset) }
                    }
                    _ = try? file.read(at: offset, count: 100)
                    _ = try? file.seek(offset, .data)
                    _ = try? file.seek(offset, .hole)
                }
            }
            #expect(try device.mode() == "sync\n")
        }
    }

    @Test("A pointer with bits above the tag") func bitsAboveTheTag() throws {
        try withDevice { device in
            let file = try device.open("phys/checked")
            for bit in 60...62 {
                let pointer = UInt64(1) << UInt64(bit) | device.map.base
                #expect(throws: Errno(EINVAL)) { try file.read(at: pointer, count: 16) }
                #expect(throws: Errno(EINVAL)) { try file.write([1], at: pointer) }
            }
            #expect(throws: Errno(ENXIO)) { try file.read(at: 1 << 54 | device.map.base, count: 16) }
            #expect(try file.read(at: device.map.base, count: 16).count == 16)
            #expect(try device.faults().isEmpty)
        }
    }

    @Test("Transfers that are longer than the device") func hugeLengths() throws {
        try withDevice { device in
            let length = 64 << 20
            let mem = try device.open("phys/mem")
            #expect(
                try mem.read(at: device.map.base, count: length).count
                    == Int(device.map.end - device.map.base))
            #expect(throws: Errno(ENXIO)) { try mem.read(at: 0, count: length) }
            let view = try device.openView(0)
            #expect(try view.read(at: device.map.base + 5, count: length).count == Int(device.map.size) - 5)
            let ones = [UInt8](repeating: 1, count: length)
            #expect(try view.write(ones, at: device.map.base) == Int(device.map.size))
            #expect(try device.memory(at: device.map.tagBase - 2, count: 4) == [1, 1, 0, 0])
            let tags = try device.open("phys/tags")
            #expect(try tags.read(at: device.map.base / 32, count: length).count > Int(device.map.size / 32))
        }
    }

    @Test(
        "Words that are no mode",
        arguments: [
            "Sync", "sync\n\n", " sync", "sync ", "syn", "synca", "\n", "none,sync", "0", "\u{0}",
            "sync\u{0}", "👍",
            String(repeating: "x", count: 64), String(repeating: "none\n", count: 1000),
        ])
    func modes(word: String) throws {
        try withDevice { device in
            try device.setMode("asymm\n")
            #expect(throws: Errno(EINVAL)) { try device.setMode(word) }
            #expect(try device.mode() == "asymm\n")
        }
    }

    @Test("Junk anywhere in a write of tags.hex changes nothing", .repeatable) func junkDigits() throws {
        try withDevice { device in
            try withSeed { generator in
                try device.setTag(0xa, at: device.map.base, granules: 4096)
                let hex = try device.open("phys/tags.hex")
                let before = try hex.read(at: device.map.base / 16, count: 100_000)
                for length in [1, 2, 17, 300, 5000, 100_000] {
                    for junk in "gG/:@`\u{0}\u{ff}\r -x".utf8 {
                        var digits = [UInt8](repeating: UInt8(ascii: "5"), count: length)
                        let places = [0, length - 1, Int.random(in: 0..<length, using: &generator)]
                        digits[places.randomElement(using: &generator) ?? 0] = junk
                        #expect(throws: Errno(EINVAL)) { try hex.write(digits, at: device.map.base / 16) }
                    }
                }
                let after = try hex.read(at: device.map.base / 16, count: 100_000)
                #expect(after == before)
            }
        }
    }

    @Test("A newline leaves its granule as it is") func newlines() throws {
        try withDevice { device in
            let hex = try device.open("phys/tags.hex")
            try hex.write("12345678", at: device.map.base / 16)
            #expect(try hex.write("a\nB\n\ncD\n", at: device.map.base / 16) == 8)
            #expect(try hex.read(at: device.map.base / 16, count: 9) == Array("a2b45cd80".utf8))
            #expect(try hex.write("\nf\n", at: device.map.base / 16 + 1) == 3)
            #expect(try hex.read(at: device.map.base / 16, count: 9) == Array("a2f45cd80".utf8))
        }
    }

    @Test("Thousands of open files", arguments: ["phys/views/0", "phys/mem", "vmstat"]) func manyFiles(
        name: String
    ) throws {
        try withDevice { device in
            let offset = name == "vmstat" ? 0 : device.map.base
            let outcome = try client(["fds", device.path(name), "4000", "\(offset)"])
            #expect(outcome.line == "ok fds=4000", "\(outcome.output)")
        }
    }

    @Test("Clients that are killed at any moment leave the device as it was") func killedClients() throws {
        try withDevice { device in
            try device.setTag(3, at: device.map.base + 0x10000)
            for round in 0..<20 {
                let programs = try [
                    Program("dd", ["if=\(device.path("phys/mem"))", "of=/dev/null", "bs=1M", "skip=1024"]),
                    Program(
                        "dd",
                        ["if=/dev/zero", "of=\(device.view(0))", "bs=128k", "seek=8192", "conv=notrunc"]),
                    Program("cat", [device.path("faults_pipe")]),
                    Program(clientProgram, ["touch", device.view(1), "\(device.map.base)", "store"]),
                ]
                usleep(UInt32(round) * 500)
                for program in programs { program.kill() }
                for program in programs { #expect(program.wait(seconds: 10) != nil, "\(program.name)") }
            }
            #expect(try device.memory(at: device.map.base, count: 16) == [UInt8](repeating: 0, count: 16))
            let digits = try device.open("phys/tags.hex").read(at: (device.map.base + 0x10000) / 16, count: 2)
            #expect(digits == Array("33".utf8))
        }
    }

    @Test("Calls at random do no harm", .repeatable) func randomCalls() throws {
        try withDevice(limit: 100) { device in
            try withSeed { generator in
                let files =
                    [
                        "meminfo", "vmstat", "faults", "faults_pipe", "phys", "phys/mem", "phys/checked",
                        "phys/tags",
                    ]
                    + [
                        "phys/tags.hex", "phys/mode", "phys/tfsr", "phys/views", "phys/views/0",
                        "phys/views/9",
                    ]
                let flags = [
                    O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND, O_WRONLY | O_CREAT,
                ]
                let borders: [UInt64] = [
                    0, 1, 4096, 1 << 20, 1 << 31, 1 << 40, 1 << 52, 1 << 56, 1 << 60, .max >> 1,
                ]
                func someOffset() -> UInt64 {
                    let memory = [device.map.base, device.map.tagBase, device.map.end]
                    let places = borders + memory + memory.map { $0 / 16 } + memory.map { $0 / 32 }
                    let near = places.randomElement(using: &generator) ?? 0
                    let offset = near &+ generator.bits(13) &- 4096
                    return generator.oneIn(4) ? offset | generator.bits(4) << 56 : offset
                }
                var attempts = 0
                for _ in 0..<4000 {
                    let name = files.randomElement(using: &generator) ?? ""
                    let flag = flags.randomElement(using: &generator) ?? O_RDONLY
                    guard let file = try? device.open(name, flag | O_NONBLOCK) else { continue }
                    for _ in 0..<Int.random(in: 1...4, using: &generator) {
                        attempts += 1
                        let offset = someOffset()
                        let count = Int(generator.bits(generator.oneIn(20) ? 19 : 9))
                        switch Int.random(in: 0..<9, using: &generator) {
                        case 0, 1: _ = try? file.read(at: offset, count: count)
                        case 2:
                            _ = try? file.write((0..<count).map { _ in UInt8(generator.bits(8)) }, at: offset)
                        case 3:
                            _ = try? file.write(
                                ["none", "sync", "async", "0", "f"].randomElement() ?? "", at: offset)
                        case 4: _ = try? file.seek(offset, generator.oneIn(2) ? .data : .hole)
                        case 5: _ = try? file.truncate(Int(truncatingIfNeeded: offset))
                        case 6: _ = try? file.fsync()
                        case 7: _ = try? file.poll(within: 0)
                        default: _ = try? file.status()
                        }
                    }
                }
                #expect(attempts > 4000)
                #expect(device.daemon.poll() == nil)
                try device.setMode("sync")
                try device.setTag(5, at: device.map.base)
                #expect(try device.openView(5).write([1, 2, 3], at: device.map.base) == 3)
                #expect(try device.memory(at: device.map.base, count: 3) == [1, 2, 3])
            }
        }
    }
}
