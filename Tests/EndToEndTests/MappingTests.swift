import Glibc
import Testing

@Suite("Mappings: page by page, with exact signals and log lines", .timeLimit(.minutes(2)))
struct MappingTests {
    private func touch(_ device: Device, _ view: Int, _ address: UInt64, _ rest: String...) throws -> Outcome
    {
        try client(["touch", device.view(view), "\(address)"] + rest)
    }

    @Test("A page is there through its own view", arguments: ["shared", "private"])
    func ownView(sharing: String) throws {
        try withDevice { device in
            let page = device.map.base + 0x3000
            try device.setTag(6, at: page)
            try device.store([0x11, 0x22], at: page + 0x123)
            let load = try touch(device, 6, page + 0x124, "load", sharing)
            #expect(load.line == "ok 0x22" && load.succeeded)
            let store = try touch(device, 6, page + 0x123, "store", sharing)
            #expect(store.line == "ok 0x5a" && store.succeeded)
            #expect(
                try device.memory(at: page + 0x123, count: 2) == [sharing == "shared" ? 0x5a : 0x11, 0x22])
            #expect(try device.faults().isEmpty)
        }
    }

    @Test("Through every other view it is SIGBUS at the exact address", arguments: ["load", "store"])
    func otherViews(access: String) throws {
        try withDevice { device in
            let page = device.map.base + 0x5000
            try device.setTag(6, at: page)
            for tag in 0..<16 where tag != 6 {
                for sharing in ["shared", "private"] {
                    let address = page + UInt64(tag * 200 + 7)
                    var pid = pid_t()
                    let faults = try device.newFaults {
                        let program = try Program(
                            clientProgram, ["touch", device.view(tag), "\(address)", access, sharing])
                        pid = program.pid
                        let expected = "SIGBUS code=BUS_ADRERR addr-offset=0x\(String(address, radix: 16))"
                        #expect(program.finish().line == expected)
                    }
                    try #require(faults.count == 1, "\(faults)")
                    #expect(faults[0]["access"] == "map" && faults[0]["mode"] == "sync")
                    #expect(faults[0].offset == page && faults[0]["size"] == "4096")
                    #expect(faults[0].address == UInt64(tag) << 56 | page)
                    #expect(faults[0]["view"] == String(tag, radix: 16))
                    #expect(faults[0]["address_tag"] == String(tag, radix: 16))
                    #expect(faults[0]["allocation_tag"] == "6")
                    #expect(faults[0].pid == pid && faults[0]["comm"] == "tagmem-client")
                }
            }
        }
    }

    @Test("A program without a handler is killed by SIGBUS", arguments: ["load", "store"])
    func killed(access: String) throws {
        try withDevice { device in
            let outcome = try touch(device, 1, device.map.base + 99, access, "die")
            #expect(outcome.ending == .killed(signal: SIGBUS) && outcome.output == "")
            #expect(try device.faults().count == 1)
            #expect(try touch(device, 0, device.map.base + 99, access, "die").succeeded)
            #expect(try device.faults().count == 1)
        }
    }

    @Test("Each refused access of a process is one line") func oneLineEach() throws {
        try withDevice { device in
            let base = device.map.base
            let script = try Script()
            try script.map(0, device.view(1), at: base, length: 64 * 4096)
            try script.map(1, device.view(2), at: base, length: 64 * 4096)
            var expected: [UInt64] = []
            func refused(_ slot: Int, _ at: Int, store: Bool = false) throws {
                let answer = try script(store ? "store \(slot) \(at) 1 7" : "load \(slot) \(at)")
                #expect(answer == "SIGBUS BUS_ADRERR 0x\(String(base + UInt64(at), radix: 16))")
                expected.append(base + UInt64(at & ~4095))
            }
            for page in 0..<64 { try refused(0, page * 4096 + page) }
            for _ in 0..<10 { try refused(0, 5000) }
            for _ in 0..<10 { try refused(1, 70000, store: true) }
            for round in 0..<10 { try refused(round % 2, 9000) }
            for round in 0..<10 { try refused(0, round % 2 * 8192 + 20, store: round % 3 == 0) }
            let faults = try device.faults()
            #expect(faults.map(\.offset) == expected)
            #expect(faults.allSatisfy { $0["access"] == "map" && $0.pid == script.pid })
        }
    }

    @Test("Each refused access of many processes is one line") func oneLineEachInProcesses() throws {
        try withDevice { device in
            for round in 1...12 {
                let outcome = try touch(device, 3, device.map.base + 0x100, round % 2 == 0 ? "load" : "store")
                #expect(outcome.output.hasPrefix("SIGBUS"))
                #expect(try device.faults().count == round)
            }
            let programs = try (0..<8).map { _ in
                try Program(clientProgram, ["touch", device.view(3), "\(device.map.base)", "load"])
            }
            for program in programs { #expect(program.finish().output.hasPrefix("SIGBUS")) }
            #expect(Set(try device.faults().suffix(8).map(\.pid)) == Set(programs.map(\.pid)))
            #expect(try device.faults().count == 20)
        }
    }

    /// They read ahead for one another: what is left to one of them may be a single page that it does not touch.
    @Test("Each refused access of processes that touch a page together is one line")
    func oneLineEachTogether() throws {
        try withDevice(size: "64M") { device in
            let outcome = try client(["together", device.mountpoint, "\(device.map.base)", "200"])
            #expect(outcome.succeeded && outcome.output.contains("ok together"), "\(outcome)")
        }
    }

    @Test("A page of mixed tags is refused, and its neighbours are not") func mixedTags() throws {
        try withDevice { device in
            let page = device.map.base + 0x8000
            try device.setTag(4, at: page - 4096, granules: 768)
            try device.setTag(9, at: page + 0x7f0, granules: 1)
            for tag in [4, 9, 0] {
                #expect(try touch(device, tag, page + 0x7f0, "load").output.hasPrefix("SIGBUS"))
                #expect(try touch(device, tag, page, "store").output.hasPrefix("SIGBUS"))
            }
            #expect(try touch(device, 4, page - 1, "store").line == "ok 0x5a")
            #expect(try touch(device, 4, page + 4096, "store").line == "ok 0x5a")
            #expect(try device.faults().map { $0["allocation_tag"] } == ["9", "9", "4", "4", "4", "4"])
            #expect(try touch(device, 0, device.map.tagBase, "load").output.hasPrefix("SIGBUS"))
            #expect(try touch(device, 0, device.map.base - 1, "load").output.hasPrefix("SIGBUS"))
            // Neither tag storage nor a hole has tags that could mismatch.
            #expect(try device.faults().count == 6)
        }
    }

    @Test("In mode none and async every page can be touched", arguments: ["none", "async"])
    func unrefused(mode: String) throws {
        try withDevice { device in
            try device.setMode(mode)
            try device.setTag(4, at: device.map.base, granules: 100)
            for tag in [0, 4, 11] {
                #expect(try touch(device, tag, device.map.base + 8, "load").succeeded)
                let script = try Script()
                try script.map(0, device.view(tag), at: device.map.base)
                #expect(try script("store 0 8 1 \(tag + 1)") == "ok")
                #expect(try script("load 0 8") == "0x0\(String(tag + 1, radix: 16))")
                let synced = try script("msync 0")
                #expect(synced == (mode == "async" && tag != 4 ? "EIO" : "ok"))
            }
            #expect(try device.memory(at: device.map.base + 8, count: 1) == [12])
            #expect(try device.faults().count == (mode == "async" ? 2 : 0))
        }
    }

    @Test("asymm refuses pages as sync does") func asymmetric() throws {
        try withDevice { device in
            try device.setMode("asymm")
            for access in ["load", "store"] {
                #expect(try touch(device, 1, device.map.base, access).output.hasPrefix("SIGBUS"))
            }
            #expect(try device.faults().map { $0["mode"] } == ["asymm", "asymm"])
            #expect(try device.tfsr() == "0\n")
        }
    }

    @Test("store-only: a page that stores may not touch is refused, one whose stores fault later is not")
    func storeOnly() throws {
        try withDevice { device in
            try device.setMode("sync,store-only")
            #expect(try touch(device, 1, device.map.base, "load").output.hasPrefix("SIGBUS"))
            #expect(try device.openView(1).read(at: device.map.base, count: 4) == [0, 0, 0, 0])
            for (value, mode) in ["async,store-only", "asymm,store-only"].enumerated() {
                try device.setMode(mode)
                let faults = try device.newFaults {
                    #expect(try touch(device, 1, device.map.base, "load").succeeded)
                    let script = try Script()
                    try script.map(0, device.view(1), at: device.map.base)
                    #expect(try script("store 0 8 1 \(value + 1)") == "ok")
                    #expect(try script("msync 0") == "EIO")
                }
                #expect(faults.map { $0["access"] } == ["store"] && faults.map { $0["mode"] } == [mode])
            }
        }
    }

    @Test("In async, each changed granule of another tag is a fault when the page comes back")
    func asynchronousStores() throws {
        try withDevice { device in
            let base = device.map.base
            try device.setMode("async")
            try device.setTag(3, at: base + 0x1040, granules: 2)
            let script = try Script()
            try script.map(0, device.view(3), at: base, length: 8192)
            #expect(try script("store 0 0x1045 2 0x77") == "ok")
            #expect(try script("store 0 0x105c 8 0x77") == "ok")
            #expect(try script("store 0 0x23 1 0x77") == "ok")
            // What is stored and equal changes nothing.
            #expect(try script("store 0 0x1800 16 0") == "ok")
            #expect(try script("store 0 0x1ff0 16 0x77") == "ok")
            #expect(try device.tfsr() == "0\n")
            #expect(try script("msync 0") == "EIO")
            #expect(try script("msync 0") == "ok")
            #expect(try script("fsync 0") == "ok")
            let faults = try device.faults()
            #expect(Set(faults.map(\.offset)) == [base + 0x20, base + 0x1060, base + 0x1ff0])
            #expect(faults.count == 3)
            #expect(Set(faults.map(\.address)) == Set(faults.map { 3 << 56 | $0.offset }))
            for fault in faults {
                #expect(fault["access"] == "store" && fault["mode"] == "async" && fault["size"] == "16")
                #expect(fault["address_tag"] == "3" && fault["allocation_tag"] == "0" && fault.pid == 0)
            }
            #expect(try device.tfsr() == "1\n")
            #expect(try device.memory(at: base + 0x1045, count: 2) == [0x77, 0x77])
            #expect(try device.memory(at: base + 0x23, count: 1) == [0x77])
            #expect(try device.memory(at: base + 0x1ff0, count: 16) == [UInt8](repeating: 0x77, count: 16))

            #expect(try script("store 0 0x30 1 0x78") == "ok")
            #expect(try script("close 0") == "EIO")
            #expect(try device.faults().last?.offset == base + 0x30)
            #expect(try script("store 0 0x30 1 0x79") == "ok")
            #expect(try script("unmap 0") == "ok")
            #expect(try device.memory(at: base + 0x30, count: 1) == [0x79])
        }
    }

    @Test("A change of tags takes pages away and gives them back") func revocation() throws {
        try withDevice { device in
            let base = device.map.base
            let script = try Script()
            try script.map(0, device.view(0), at: base, length: 8192)
            #expect(try script("store 0 0x10 1 0x41") == "ok")
            #expect(try script("store 0 0x1010 1 0x42") == "ok")
            try device.setTag(1, at: base + 0x200, granules: 1)
            #expect(try device.memory(at: base + 0x10, count: 1) == [0x41])
            #expect(try script("load 0 0x10") == "SIGBUS BUS_ADRERR 0x\(String(base + 0x10, radix: 16))")
            #expect(try script("load 0 0x1010") == "0x42")
            try device.setTag(0, at: base + 0x200, granules: 1)
            #expect(try script("load 0 0x10") == "0x41")
            try device.store([0xdd, 0xdd], at: device.map.tagBase + 128)
            #expect(try script("load 0 0x1010").hasPrefix("SIGBUS"))
            #expect(try script("load 0 0x10") == "0x41")
            try device.setMode("none")
            #expect(try script("load 0 0x1010") == "0x42")
            #expect(try script("store 0 0x1011 1 0x43") == "ok")
            try device.setMode("sync")
            #expect(try script("load 0 0x1010").hasPrefix("SIGBUS"))
            #expect(try device.memory(at: base + 0x1010, count: 2) == [0x42, 0x43])
        }
    }

    @Test(
        "A tag that is stored through a mapping takes effect with msync",
        arguments: ["tags", "tags.hex", "mem"])
    func mappedTags(name: String) throws {
        try withDevice { device in
            let base = device.map.base + 0x6000
            let script = try Script()
            try script.map(0, device.view(0), at: base)
            #expect(try script("store 0 100 1 0x33") == "ok")
            let (start, length, value): (UInt64, Int, Int) =
                switch name {
                case "tags": (base / 32, 128, 0xdd)
                case "tags.hex": (base / 16, 256, 0x44)
                default: (device.map.tagBase + 0x6000 / 32, 128, 0xdd)
                }
            let page = start & ~4095
            try script.map(1, device.path("phys/\(name)"), at: page)
            #expect(try script("store 1 \(start - page) \(length) \(value)") == "ok")
            #expect(try script("msync 1") == "ok")
            #expect(try script("load 0 100").hasPrefix("SIGBUS"))
            try script.map(2, device.view(0xd), at: base)
            #expect(try script("load 2 100") == "0x33")
            let hex = try device.open("phys/tags.hex").read(at: base / 16 - 1, count: 258)
            #expect(hex == Array("0\(String(repeating: "d", count: 256))0".utf8))
            // And a change that is made otherwise shows in the mapping.
            try device.setTag(2, at: base, granules: 2)
            #expect(try script("load 1 \(start - page)") == (name == "tags.hex" ? "0x32" : "0x22"))
        }
    }

    @Test("Junk that is stored in a mapping of tags.hex is refused by msync") func mappedJunk() throws {
        try withDevice { device in
            try device.setTag(0xa, at: device.map.base, granules: 4096)
            let script = try Script()
            try script.map(0, device.path("phys/tags.hex"), at: device.map.base / 16)
            #expect(try script("store 0 16 16 0x35") == "ok")
            #expect(try script("store 0 77 1 0x67") == "ok")
            #expect(try script("msync 0") == "EINVAL")
            let tags = try device.open("phys/tags").read(at: device.map.base / 32, count: 2048)
            #expect(tags == [UInt8](repeating: 0xaa, count: 2048))
            // That read took the page away, with what could not be stored. A newline is no junk.
            #expect(try script("load 0 77") == "0x61")
            #expect(try script("store 0 16 16 0x35") == "ok")
            #expect(try script("store 0 77 1 10") == "ok")
            #expect(try script("msync 0") == "ok")
            let after = try device.open("phys/tags").read(at: device.map.base / 32, count: 48)
            #expect(after == (0..<48).map { (8..<16).contains($0) ? 0x55 : 0xaa })
        }
    }

    @Test("What has no pages cannot be mapped") func unmappable() throws {
        try withDevice { device in
            let script = try Script()
            for name in ["phys/checked", "phys/mode", "faults", "faults_pipe", "vmstat"] {
                try #require(try script("open 0 \(device.path(name)) r") == "ok")
                let mapped = try script("map 0 0 0 4096 r shared")
                if mapped == "ok" { #expect(try script("load 0 0").hasPrefix("SIGBUS"), "\(name)") }
                _ = try script("close 0")
            }
            #expect(try device.faults().isEmpty)
        }
    }

    @Test("The client's tests of mappings", arguments: ["readahead", "revoke"])
    func clientTests(name: String) throws {
        try withDevice(limit: 100) { device in
            let outcome = try client([name, device.path("phys"), "\(device.map.base + 0x10000)"])
            #expect(outcome.succeeded && outcome.line.hasSuffix("ok \(name)"), "\(outcome.output)")
        }
    }
}
