import Glibc
import TestSupport
import Testing

@Suite("Checked access: read and write through views and checked", .timeLimit(.minutes(2)))
struct CheckedAccessTests {
    // MARK: From a shell

    @Test("dd, printf and xxd poke memory and tags") func shellSession() throws {
        try withDevice { device in
            let outcome = try shell(
                """
                set -e
                cd "$M/phys"
                printf 5555 | dd of=tags.hex bs=1 seek=$((0x40000000 / 16)) conv=notrunc status=none
                printf 'hello, granules' | dd of=views/5 bs=1 seek=$((0x40000010)) conv=notrunc status=none
                dd if=mem bs=1 skip=$((0x40000010)) count=15 status=none; echo
                dd if=views/5 bs=16 skip=$((0x40000010 / 16)) count=1 status=none | xxd -p
                xxd -p -s $((0x40000000 / 32)) -l 4 tags
                dd if=tags.hex bs=1 skip=$((0x40000000 / 16)) count=6 status=none; echo
                printf '\\251' | dd of=tags bs=1 seek=$((0x40000000 / 32)) conv=notrunc status=none
                dd if=tags.hex bs=1 skip=$((0x40000000 / 16)) count=4 status=none; echo
                dd if=checked bs=16 skip=$(((5 << 56 | 0x40000020) / 16)) count=1 status=none | xxd -p
                cat mode tfsr
                """, environment: ["M": device.mountpoint])
            #expect(
                outcome.output == """
                    hello, granules
                    68656c6c6f2c206772616e756c657300
                    55550000
                    555500
                    9a55
                    00000000000000000000000000000000
                    sync
                    0

                    """)
            #expect(outcome.errors == "")
            #expect(try device.faults().isEmpty)
            let refused = try shell(
                "dd if=views/6 bs=16 skip=$((0x40000020 / 16)) count=1 of=/dev/null",
                environment: ["M": device.mountpoint, "PWD": device.path("phys")])
            #expect(refused.ending == .exited(1))
            let fault = try shell(
                "cd $M/phys; dd if=views/6 bs=16 skip=$((0x40000020 / 16)) count=1 of=/dev/null",
                environment: ["M": device.mountpoint])
            #expect(fault.ending == .exited(1) && fault.errors.contains("Bad address"))
            #expect(try device.faults().count == 1)
        }
    }

    // MARK: Against a model

    /// A few pages whose bytes and tags the test knows.
    private struct Model {
        static let size = 3 * 4096
        var bytes = [UInt8](repeating: 0, count: size)
        var tags = [UInt8](repeating: 0, count: size / 16)

        /// Bytes of an access before the first granule of another tag.
        func matching(_ tag: UInt8, _ range: Range<Int>) -> Int {
            guard !range.isEmpty else { return 0 }
            for granule in range.lowerBound / 16...(range.upperBound - 1) / 16 where tags[granule] != tag {
                return max(0, granule * 16 - range.lowerBound)
            }
            return range.count
        }
    }

    /// A range that often crosses few granules, and often ends at their borders.
    private func someRange(_ generator: inout SeededGenerator) -> Range<Int> {
        let start = Int.random(in: 0..<Model.size, using: &generator)
        let longest = [20, 100, 5000, Model.size].randomElement(using: &generator) ?? 1
        let begin = generator.oneIn(3) ? start & ~15 : start
        let length = Int.random(in: 1...longest, using: &generator)
        return begin..<min(Model.size, generator.oneIn(3) ? (begin + length + 15) & ~15 : begin + length)
    }

    @Test(
        "Every read and write is exact to the byte", .repeatable,
        arguments: ["none", "sync", "async", "asymm"])
    func againstModel(mode: String) throws {
        try withDevice(size: "128K", limit: 100) { device in
            try withSeed { generator in
                try device.setMode(mode)
                let base = device.map.base + UInt64.random(in: 0..<16, using: &generator) * 4096
                let views = try (0..<16).map { try device.openView($0) }
                let checked = try device.open("phys/checked")
                let mem = try device.open("phys/mem")
                let hex = try device.open("phys/tags.hex")
                var model = Model()
                var faults = 0
                let kindsOfTags = UInt8.random(in: 2...4, using: &generator)
                for step in 0..<1500 {
                    let range = someRange(&generator)
                    let address = base + UInt64(range.lowerBound)
                    if generator.oneIn(8) {
                        let granules = range.lowerBound / 16..<(range.upperBound + 15) / 16
                        let tag = UInt8.random(in: 0..<kindsOfTags, using: &generator) * 5
                        for granule in granules { model.tags[granule] = tag }
                        let digits = [UInt8](
                            repeating: Array("0123456789abcdef".utf8)[Int(tag)], count: granules.count)
                        try hex.write(digits, at: base / 16 + UInt64(granules.lowerBound))
                        continue
                    }
                    let near = model.tags[range.lowerBound / 16]
                    let tag = generator.oneIn(5) ? UInt8.random(in: 0..<16, using: &generator) : near
                    let usesChecked = generator.oneIn(2)
                    let file = usesChecked ? checked : views[Int(tag)]
                    let offset = usesChecked ? UInt64(tag) << 56 | address : address
                    let matching = model.matching(tag, range)
                    let isStore = generator.oneIn(2)
                    let refuses = mode == "sync" || mode == "asymm" && !isStore
                    let expected = refuses ? matching : range.count
                    if mode != "none", matching < range.count { faults += 1 }
                    let what: Comment =
                        "step \(step): \(isStore ? "write" : "read") of \(range) through \(tag)"
                    if isStore {
                        let bytes = range.map { _ in UInt8(generator.bits(8)) }
                        if expected == 0 {
                            #expect(throws: Errno(EFAULT), what) { try file.write(bytes, at: offset) }
                        } else {
                            let count = try file.write(bytes, at: offset)
                            try #require(count == expected, what)
                            model.bytes.replaceSubrange(range.prefix(expected), with: bytes[..<expected])
                        }
                    } else if expected == 0 {
                        #expect(throws: Errno(EFAULT), what) { try file.read(at: offset, count: range.count) }
                    } else {
                        let bytes = try file.read(at: offset, count: range.count)
                        try #require(bytes == Array(model.bytes[range.prefix(expected)]), what)
                    }
                    if generator.oneIn(10) {
                        let all = try mem.read(at: base, count: Model.size)
                        try #require(all == model.bytes, what)
                    }
                }
                let all = try mem.read(at: base, count: Model.size)
                #expect(all == model.bytes)
                let digits = try hex.read(at: base / 16, count: Model.size / 16)
                #expect(digits == model.tags.map { Array("0123456789abcdef".utf8)[Int($0)] })
                let counters = try device.counters()
                #expect(counters["tag_check_faults"] == faults)
                #expect(try device.faults().count + (counters["fault_log_dropped"] ?? -1) == faults)
                #expect(try device.tfsr() == (mode == "async" || mode == "asymm" ? "1\n" : "0\n"))
            }
        }
    }

    // MARK: Modes

    @Test(
        "What a mismatch does, by mode",
        arguments: [
            "none", "sync", "async", "asymm", "sync,store-only", "async,store-only", "asymm,store-only",
            "sync,canonical",
        ])
    func modes(mode: String) throws {
        try withDevice { device in
            let base = device.map.base
            try device.setMode(mode)
            #expect(try device.mode() == "\(mode)\n")
            try device.store([1, 2, 3, 4], at: base)
            try device.setTag(7, at: base, granules: 1)
            let isStoreOnly = mode.contains("store-only")
            let loadsFault = mode.hasPrefix("sync") && !isStoreOnly || mode == "asymm"
            let view = try device.openView(8)
            if loadsFault {
                #expect(throws: Errno(EFAULT)) { try view.read(at: base, count: 4) }
            } else {
                #expect(try view.read(at: base, count: 4) == [1, 2, 3, 4])
            }
            #expect(try device.tfsr() == (mode == "async" ? "1\n" : "0\n"))
            if mode.hasPrefix("sync") {
                #expect(throws: Errno(EFAULT)) { try view.write([9, 9], at: base) }
                #expect(try device.memory(at: base, count: 4) == [1, 2, 3, 4])
            } else {
                #expect(try view.write([9, 9], at: base) == 2)
                #expect(try device.memory(at: base, count: 4) == [9, 9, 3, 4])
            }
            let defers = mode.hasPrefix("async") || mode.hasPrefix("asymm")
            #expect(try device.tfsr() == (defers ? "1\n" : "0\n"))
            let faults = try device.faults()
            #expect(
                faults.map { $0["access"] }
                    == (mode == "none" ? [] : isStoreOnly ? ["store"] : ["load", "store"]))
            #expect(faults.allSatisfy { $0["mode"] == mode })
            #expect(try device.counters()["tag_check_faults_async"] == (mode == "async" ? 2 : defers ? 1 : 0))

            try device.open("phys/tfsr").write("0\n")
            #expect(try device.tfsr() == "0\n")
            for junk in ["1", "00", "0 ", "x", "-0", "\n"] {
                #expect(throws: Errno(EINVAL), "\(junk)") { try device.open("phys/tfsr").write(junk) }
            }
            _ = try? view.write([9], at: base)
            #expect(try device.tfsr() == (defers ? "1\n" : "0\n"))
            if defers { try? view.close() } else { try view.close() }
        }
    }

    @Test("Canonical checks: memory without tags is for pointers with tag 0") func canonicalTags() throws {
        try withDevice { device in
            let storage = device.map.tagBase + 0x100
            let checked = try device.open("phys/checked")
            let views = try [device.openView(0), device.openView(6)]
            #expect(throws: Errno(EOPNOTSUPP)) { try views[0].read(at: storage, count: 1) }
            try device.setMode("sync,canonical")
            // Tag storage is memory without tags; what is stored there are tags all the same.
            #expect(try views[0].write([0x66, 0x66], at: storage) == 2)
            #expect(try checked.read(at: storage, count: 3) == [0x66, 0x66, 0])
            let faults = try device.newFaults {
                #expect(throws: Errno(EFAULT)) { try views[1].read(at: storage, count: 1) }
                #expect(throws: Errno(EFAULT)) { try checked.write([1], at: 6 << 56 | storage) }
            }
            #expect(faults.map { $0["allocation_tag"] } == ["0", "0"])
            #expect(faults.map(\.offset) == [storage, storage])
            let tagged = device.map.base + 0x100 * 32
            #expect(try views[1].read(at: tagged, count: 128).count == 64)
            #expect(throws: Errno(ENXIO)) { try views[0].read(at: device.map.base - 1, count: 1) }

            // A mapping of it is taken away with the mode.
            let script = try Script()
            try script.map(0, device.view(0), at: storage & ~0xfff)
            #expect(try script("store 0 256 1 0x77") == "ok")
            #expect(try script("msync 0") == "ok")
            #expect(try device.open("phys/tags").read(at: tagged / 32, count: 1) == [0x77])
            #expect(throws: Errno(EFAULT)) { try views[1].read(at: tagged, count: 1) }
            try device.setMode("sync")
            #expect(try script("load 0 256").hasPrefix("SIGBUS"))
        }
    }

    @Test("An asynchronous fault is reported once, by fsync") func deferredToFsync() throws {
        try withDevice { device in
            // Opened before the mode changes.
            let views = try [device.openView(3), device.openView(3)]
            let other = try device.openView(4)
            let checked = try device.open("phys/checked")
            try device.setMode("async")
            try views[0].fsync()
            try views[0].write([1], at: device.map.base)
            #expect(throws: Errno(EIO)) { try views[0].fsync() }
            try views[0].fsync()
            try views[1].fsync()
            // Each view has its own report, and so has checked.
            _ = try other.read(at: device.map.base, count: 1)
            try views[0].fsync()
            try checked.fsync()
            #expect(throws: Errno(EIO)) { try other.fsync() }
            try checked.write([1], at: 9 << 56 | device.map.base)
            try other.fsync()
            #expect(throws: Errno(EIO)) { try checked.fsync() }
            for file in views + [other, checked] { try file.close() }
            #expect(try device.faults().count == 3)
        }
    }

    // In a process of their own: one that is started from this one closes copies of this one's descriptors, and a close
    // takes the report.

    @Test("An asynchronous fault is reported once, by close", arguments: ["async", "asymm"])
    func deferredToClose(mode: String) throws {
        try withDevice { device in
            let base = device.map.base
            let script = try Script()
            #expect(try script("open 0 \(device.view(3)) rw") == "ok")
            try device.setMode(mode)
            #expect(try script("open 1 \(device.view(3)) rw") == "ok")
            #expect(try script("write 0 \(base) 1 0x01") == "1")
            // A descriptor that was open before the mode was set reports with fsync; its close leaves the report.
            #expect(try script("close 0") == "ok")
            #expect(try script("close 1") == "EIO")
            #expect(try script("open 0 \(device.view(3)) rw") == "ok")
            #expect(try script("close 0") == "ok")

            #expect(try script("open 0 \(device.view(3)) w") == "ok")
            #expect(try script("write 0 \(base) 1 0x01") == "1")
            #expect(try script("close 0") == "EIO")
            #expect(try script("open 0 \(device.view(3)) r") == "ok")
            #expect(try script("close 0") == "ok")

            #expect(try script("open 0 \(device.path("phys/checked")) rw") == "ok")
            #expect(try script("write 0 \(3 << 56 | base) 1 0x01") == "1")
            #expect(try script("close 0") == "EIO")

            // A write that matches has nothing to report.
            #expect(try script("open 0 \(device.view(0)) rw") == "ok")
            #expect(try script("write 0 \(base) 1 0x01") == "1")
            #expect(try script("close 0") == "ok")
        }
    }

    @Test("A load through a descriptor that only reads is reported by its close in asynchronous mode")
    func deferredToCloseOfReader() throws {
        try withDevice { device in
            try device.setMode("async")
            let script = try Script()
            #expect(try script("open 0 \(device.view(6)) r") == "ok")
            #expect(try script("read 0 \(device.map.base) 1") == "1")
            #expect(try script("close 0") == "EIO")
        }
    }

    // MARK: The fault log

    @Test("A fault's line says everything about it") func faultLine() throws {
        try withDevice { device in
            let base = device.map.base
            try device.setTag(0xb, at: base + 0x40, granules: 1)
            let start = time(nil)
            // Touches 0x35 ..< 0x75 through tag 0, so the fault is at 0x40, after 11 bytes.
            let program = try Program(
                clientProgram, ["access", device.view(0), "\(base + 0x35)", "read", "64"])
            #expect(program.finish().line == "11")
            let second = try Program(
                clientProgram, ["access", device.view(5), "\(base + 0x47)", "write", "3"])
            #expect(second.finish().line == "EFAULT")
            let third = try Program(
                clientProgram,
                ["access", device.path("phys/checked"), "\(0xc << 56 | base + 0x4f)", "write", "2"])
            #expect(third.finish().line == "EFAULT")
            let faults = try device.faults()
            try #require(faults.count == 3)
            let keys = [
                "seq", "time", "mode", "access", "object", "view", "offset", "size", "address_tag",
                "allocation_tag", "pid", "comm", "fault_address",
            ]
            for (index, fault) in faults.enumerated() {
                #expect(fault.keys == keys)
                #expect(fault.sequence == index)
                #expect(fault["comm"] == "tagmem-client")
                #expect(fault["object"] == "phys" && fault["mode"] == "sync")
                #expect(fault["allocation_tag"] == "b")
            }
            #expect(faults.map { $0["access"] } == ["load", "store", "store"])
            #expect(faults.map { $0["view"] } == ["0", "5", "checked"])
            #expect(faults.map { $0.offset } == [base + 0x40, base + 0x47, base + 0x4f])
            #expect(
                faults.map { $0.address } == [base + 0x40, 5 << 56 | base + 0x47, 0xc << 56 | base + 0x4f])
            #expect(faults.map { $0["size"] } == ["64", "3", "2"])
            #expect(faults.map { $0["address_tag"] } == ["0", "5", "c"])
            #expect(faults.map { $0.pid } == [program.pid, second.pid, third.pid])
            let date = try run("date", ["-d", faults[0]["time"], "+%s"])
            let seconds = try #require(Int(date.line))
            #expect((start...start + 10).contains(seconds))
        }
    }

    @Test("Each fault is one line") func oneLineEach() throws {
        try withDevice { device in
            try device.setTag(1, at: device.map.base, granules: 2048)
            let view = try device.openView(2)
            for round in 0..<100 {
                #expect(throws: Errno(EFAULT)) {
                    try view.read(at: device.map.base + UInt64(round) * 16, count: 4096)
                }
                #expect(throws: Errno(EFAULT)) { try view.write([1], at: device.map.base + UInt64(round)) }
            }
            let faults = try device.faults()
            #expect(faults.map(\.sequence) == Array(0..<200))
            #expect(
                faults.enumerated().allSatisfy {
                    $1.offset == device.map.base + UInt64($0 / 2 * ($0 % 2 == 0 ? 16 : 1))
                })
        }
    }

    @Test("A program's name cannot break the log") func strangeName() throws {
        try withDevice { device in
            let directory = try makeTemporaryDirectory()
            let name = "a b=\"c\" \n\u{7f}x"
            let link = "\(directory)/\(name)"
            defer {
                unsafe unlink(link)
                unsafe rmdir(directory)
            }
            try check { unsafe symlink(clientProgram, link) }
            let outcome = try run(link, ["access", device.view(1), "\(device.map.base)", "read", "1"])
            #expect(outcome.line == "EFAULT")
            let text = try contents(of: device.path("faults"))
            #expect(text.utf8.count { $0 == 10 } == 1)
            #expect(text.contains(" comm=\"a b=\\\"c\\\" "))
            #expect(text.contains(" fault_address=0x"))
            #expect(text.utf8.allSatisfy { $0 == 10 || (0x20..<0x7f).contains($0) })
        }
    }

    // MARK: The edges of memory

    @Test("Tag storage and holes through views, checked and mem") func edges() throws {
        try withDevice { device in
            let (base, tagBase, end) = (device.map.base, device.map.tagBase, device.map.end)
            for name in ["phys/views/0", "phys/checked", "phys/views/9"] {
                let file = try device.open(name)
                for offset in [tagBase, end - 1, tagBase + 17] {
                    #expect(throws: Errno(EOPNOTSUPP), "\(name)") { try file.read(at: offset, count: 1) }
                    #expect(throws: Errno(EOPNOTSUPP), "\(name)") { try file.write([1], at: offset) }
                }
                for offset in [0, base - 1, base - 4096] {
                    #expect(throws: Errno(ENXIO), "\(name)") { try file.read(at: offset, count: 1) }
                    #expect(throws: Errno(ENXIO), "\(name)") { try file.write([1], at: offset) }
                }
                #expect(throws: Errno(ENXIO), "\(name)") { try file.write([1], at: end) }
                if name != "phys/views/9" {
                    #expect(try file.read(at: tagBase - 8, count: 64).count == 8, "\(name)")
                    #expect(try file.write([UInt8](repeating: 0, count: 64), at: tagBase - 8) == 8, "\(name)")
                }
            }
            #expect(try device.openView(0).read(at: end, count: 8) == [])
            #expect(try device.openView(0).read(at: end + 99999, count: 8) == [])
            let mem = try device.open("phys/mem")
            #expect(throws: Errno(ENXIO)) { try mem.read(at: base - 1, count: 1) }
            #expect(throws: Errno(ENXIO)) { try mem.write([1], at: base - 1) }
            #expect(try mem.read(at: end - 8, count: 64).count == 8)
            #expect(try mem.read(at: end, count: 64) == [])
            #expect(throws: Errno(ENXIO)) { try mem.write([1], at: end) }
            #expect(try mem.write([UInt8](repeating: 0, count: 64), at: end - 8) == 8)
            #expect(try mem.read(at: tagBase - 8, count: 64).count == 64)
            let tags = try device.open("phys/tags")
            #expect(throws: Errno(ENXIO)) { try tags.read(at: base / 32 - 1, count: 1) }
            #expect(throws: Errno(ENXIO)) { try tags.write([1], at: end / 32) }
            #expect(try tags.read(at: end / 32 - 4, count: 64).count == 4)
            let hex = try device.open("phys/tags.hex")
            #expect(throws: Errno(ENXIO)) { try hex.read(at: base / 16 - 1, count: 1) }
            #expect(throws: Errno(ENXIO)) { try hex.write("5", at: end / 16) }
            #expect(try hex.read(at: end / 16 - 5, count: 64).count == 5)
            #expect(try hex.write("55555555", at: end / 16 - 5) == 5)
        }
    }

    @Test("Tag storage has no tags of its own") func tagsOfTagStorage() throws {
        try withDevice { device in
            let tagBase = device.map.tagBase
            let before = try device.memory(at: tagBase, count: Int(device.map.size / 32))
            let hex = try device.open("phys/tags.hex")
            let tags = try device.open("phys/tags")
            #expect(try hex.write("ffff", at: tagBase / 16) == 4)
            #expect(try tags.write([0xff, 0xff], at: tagBase / 32) == 2)
            #expect(try hex.read(at: tagBase / 16, count: 4) == Array("0000".utf8))
            #expect(try tags.read(at: tagBase / 32, count: 2) == [0, 0])
            // Across the border only the tags of data change.
            #expect(try hex.write("123456", at: tagBase / 16 - 3) == 6)
            #expect(try hex.read(at: tagBase / 16 - 3, count: 6) == Array("123000".utf8))
            let after = try device.memory(at: tagBase, count: Int(device.map.size / 32))
            #expect(before.dropLast(2) == after.dropLast(2))
            #expect(after.suffix(2) == [0x10, 0x32])
        }
    }

    @Test("Tags are bytes of memory") func tagsAreMemory() throws {
        try withDevice { device in
            let (base, tagBase) = (device.map.base, device.map.tagBase)
            try device.store([0x21, 0x43], at: tagBase + 8)
            #expect(try device.open("phys/tags").read(at: base / 32 + 8, count: 2) == [0x21, 0x43])
            #expect(try device.open("phys/tags.hex").read(at: base / 16 + 16, count: 4) == Array("1234".utf8))
            let address = base + 16 * 16
            for granule in 0..<4 {
                let view = try device.openView(granule + 1)
                #expect(try view.read(at: address + UInt64(granule) * 16, count: 64).count == 16)
                try view.write([UInt8(granule)], at: address + UInt64(granule) * 16 + 15)
            }
            try device.setTag(0xe, at: base + 0x1000, granules: 3)
            #expect(try device.memory(at: tagBase + 128, count: 2) == [0xee, 0x0e])
        }
    }
}
