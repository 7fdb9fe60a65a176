import CTagMemABI
import Glibc
import TestSupport
import Testing

@Suite("ioctls", .timeLimit(.minutes(2))) struct IoctlTests {
    private static func tagged(_ tag: UInt64, _ offset: UInt64) -> UInt64 { tag << 56 | offset }

    /// A device with an object of so many bytes.
    private func withObject(size: Int = 1 << 20, _ body: (Device) throws -> Void) throws {
        try withDevice(size: "8M") { device in
            try device.make("tagged/a")
            try device.open("tagged/a/mem").truncate(size)
            try body(device)
        }
    }

    // MARK: Tags

    @Test("tags are loaded, stored and filled, and every file shows them") func tags() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            let hex = try device.open("tagged/a/tags.hex")
            let values: [UInt8] = (0..<256).map { UInt8($0 * 7 % 16) }
            // An odd granule to begin with, over the end of a page; the address tag does not matter.
            try mem.storeTags(values, at: Self.tagged(9, 0xff0 + 5))
            #expect(
                try hex.read(at: 0xff, count: 256) == values.map { Array("0123456789abcdef".utf8)[Int($0)] })
            #expect(try mem.loadTags(at: 0xff0, count: 256) == values)
            #expect(
                try device.open("tagged/a/tags").loadTags(at: 0xff0 + 16, count: 3) == Array(values[1..<4]))
            #expect(try mem.loadTags(at: 0xff0 - 16, count: 1) == [0])

            try mem.write([UInt8](repeating: 0x55, count: 64), at: 0x2010)
            #expect(try mem.fillTags(4, at: 0x2010, length: 32) == 32)
            #expect(try mem.loadTags(at: 0x2000, count: 4) == [0, 4, 4, 0])
            #expect(try mem.read(at: 0x2010, count: 64) == [UInt8](repeating: 0x55, count: 64))
            #expect(try mem.fillTags(5, at: 0x2020, length: 32, zero: true) == 32)
            let zeros = [UInt8](repeating: 0, count: 32)
            #expect(
                try mem.read(at: 0x2010, count: 64)
                    == [UInt8](repeating: 0x55, count: 16) + zeros + [UInt8](repeating: 0x55, count: 16))
            #expect(try mem.loadTags(at: 0x2010, count: 3) == [4, 5, 5])
        }
    }

    @Test("a fill does 1 MiB at a time, and ends where the object does") func longFill() throws {
        try withObject(size: 1 << 20 | 0x1004) { device in
            let mem = try device.open("tagged/a/mem")
            #expect(try mem.fillTags(3, at: 0, length: 1 << 40) == 1 << 20)
            // The object ends in a granule, and the tags with the byte that this is in.
            #expect(try mem.fillTags(3, at: 1 << 20, length: 1 << 40) == 0x1020)
            #expect(throws: Errno(ENXIO)) { try mem.fillTags(3, at: 1 << 20 | 0x1020, length: 16) }
            let digits = try device.open("tagged/a/tags.hex").rest()
            #expect(digits == [UInt8](repeating: UInt8(ascii: "3"), count: (1 << 20 | 0x1020) / 16))
        }
    }

    @Test("stores of tags take pages away from mapped views, with what was stored in them")
    func mappedViews() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            let path = device.path("tagged/a/views/0")
            let changes: [() throws -> Void] = [
                { try mem.storeTags([1], at: 0x10) },
                { try mem.execute(TAGMEM_STG, xt: 1 << 56, xn: 0x10) },
                { try mem.fillTags(1, at: 0x10, length: 16) },
            ]
            for (step, change) in changes.enumerated() {
                try mem.fillTags(0, at: 0, length: 4096)
                let script = try Script()
                try script.map(0, path, at: 0)
                #expect(try script("store 0 8 1 \(step + 5)") == "ok")
                try change()
                #expect(try mem.read(at: 8, count: 1) == [UInt8(step + 5)])
                #expect(try script("load 0 8").hasPrefix("SIGBUS"))
            }
        }
    }

    @Test("what a program stored through a mapping is what instructions see") func mappedMemory() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            let script = try Script()
            try script.map(0, device.path("tagged/a/mem"), at: 0)
            try script.map(1, device.path("tagged/a/tags"), at: 0)
            #expect(try script("store 0 32 1 0x77") == "ok")
            #expect(try script("store 1 1 1 0x06") == "ok")
            #expect(try mem.loadTags(at: 32, count: 2) == [6, 0])
            #expect(try mem.load(Self.tagged(6, 32), count: 1).bytes == [0x77])
            #expect(try mem.store([0x11], Self.tagged(6, 33)).effect == 0)
            #expect(try script("load 0 33") == "0x11")
            #expect(try mem.execute(TAGMEM_STZG, xt: 9 << 56, xn: 32) == 9 << 56)
            #expect(try script("load 0 32") == "0x00")
            #expect(try script("load 1 1") == "0x09")
        }
    }

    @Test("holes have tag 0, and get their pages when a tag is stored") func holes() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            try Script().punch(device.path("tagged/a/mem"), at: 0x4000, count: 0x4000)
            let blocks = try mem.status().st_blocks
            #expect(try mem.loadTags(at: 0x4000, count: 256) == [UInt8](repeating: 0, count: 256))
            #expect(try mem.execute(TAGMEM_LDG, xt: 0xf << 56, xn: 0x4000) == 0)
            #expect(try mem.execute(TAGMEM_LDGM, xn: 0x4000) == 0)
            let fault = try mem.store([1], Self.tagged(4, 0x4000))
            #expect(fault.effect == 1 && fault.allocation_tag == 0)
            #expect(try mem.status().st_blocks == blocks)
            try mem.execute(TAGMEM_STG, xt: 4 << 56, xn: 0x4000)
            #expect(try mem.status().st_blocks == blocks + 8)
            #expect(try mem.store([1], Self.tagged(4, 0x4000)).effect == 0)
        }
    }

    // MARK: Accesses

    @Test("an access is done as a whole or not at all, and says what happened") func accesses() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            let checked = try device.open("tagged/a/checked")
            try mem.fillTags(5, at: 0, length: 0x1000)
            try mem.fillTags(6, at: 0x1000, length: 16)
            let bytes: [UInt8] = (1...64).map { UInt8($0) }
            // Over the end of a page, into a granule of another tag.
            let start = Self.tagged(5, 0x1000 - 40)
            let faults = try device.newFaults {
                for file in [mem, checked] {
                    let fault = try file.store(bytes, start)
                    #expect(fault.effect == UInt8(TAGMEM_FAULT.rawValue))
                    #expect(fault.address == Self.tagged(5, 0x1000))
                    #expect(fault.address_tag == 5 && fault.allocation_tag == 6)
                    #expect(try mem.read(at: 0x1000 - 40, count: 64).allSatisfy { $0 == 0 })
                }
                #expect(try checked.store(Array(bytes[..<40]), start).effect == 0)
                #expect(try checked.load(start, count: 40).bytes == Array(bytes[..<40]))
                // The first byte, where its granule mismatches.
                #expect(
                    try checked.load(Self.tagged(5, 0x1007), count: 2).fault.address == Self.tagged(5, 0x1007)
                )
            }
            #expect(faults.map { $0["access"] } == ["store", "store", "load"])
            #expect(faults.map { $0["size"] } == ["64", "64", "2"])
            #expect(faults.allSatisfy { $0["view"] == "checked" && $0.pid == getpid() })

            try device.open("tagged/a/mode").write("async")
            let deferred = try checked.store(bytes, start)
            #expect(deferred.effect == UInt8(TAGMEM_DEFERRED.rawValue))
            #expect(try mem.read(at: 0x1000 - 40, count: 64) == bytes)
            #expect(try contents(of: device.path("tagged/a/tfsr")) == "1\n")
            #expect(throws: Errno(EIO)) { try checked.fsync() }
        }
    }

    @Test("a view is for pointers with its tag, and what it checks nobody can turn off") func view() throws {
        try withObject { device in
            let view = try device.open("tagged/a/views/5")
            try device.open("tagged/a/mem").fillTags(5, at: 0, length: 32)
            #expect(try view.store([1, 2], Self.tagged(5, 0)).effect == 0)
            #expect(try view.store([1], Self.tagged(5, 0x20)).effect == 1)
            #expect(throws: Errno(EINVAL)) { try view.store([1], Self.tagged(4, 0)) }
            #expect(throws: Errno(EPERM)) { try view.setProcessor { $0.tco = 1 } }
            #expect(throws: Errno(EPERM)) { try view.setProcessor { $0.tcma = 1 } }
            for refused in [
                { try view.storeTags([1], at: 0) }, { _ = try view.loadTags(at: 0, count: 1) },
                { _ = try view.fillTags(1, at: 0, length: 16) }, { try view.setModeNumber(0) },
                { try view.execute(TAGMEM_STG, xn: 0) }, { try view.execute(TAGMEM_LDG, xn: 0) },
            ] as [() throws -> Void] {
                #expect(throws: Errno(EACCES)) { try refused() }
            }
            #expect(try view.modeNumber() == 1)
        }
    }

    @Test("a file that is open for one direction does the other no more than read and write do")
    func directions() throws {
        try withObject { device in
            let reader = try device.open("tagged/a/mem", O_RDONLY)
            let writer = try device.open("tagged/a/mem", O_WRONLY)
            for refused in [
                { try reader.storeTags([1], at: 0) }, { _ = try writer.loadTags(at: 0, count: 1) },
                { _ = try reader.store([1], 0) }, { _ = try writer.load(0, count: 1) },
                { try reader.execute(TAGMEM_STG, xn: 0) }, { try writer.execute(TAGMEM_LDG, xn: 0) },
                { try reader.setModeNumber(1) }, { _ = try reader.fillTags(1, at: 0, length: 16) },
            ] as [() throws -> Void] {
                #expect(throws: Errno(EACCES)) { try refused() }
            }
            #expect(try reader.loadTags(at: 0, count: 1) == [0])
            try writer.storeTags([3], at: 0)
            #expect(try reader.loadTags(at: 0, count: 1) == [3])
        }
    }

    // MARK: The processor

    @Test("TCO and TCMA0 are the open file's own") func overrides() throws {
        try withObject { device in
            let checked = try device.open("tagged/a/checked")
            let other = try device.open("tagged/a/checked")
            try device.open("tagged/a/mem").fillTags(5, at: 0, length: 16)
            try checked.setProcessor { $0.tco = 1 }
            #expect(try checked.store([1], Self.tagged(3, 0)).effect == 0)
            #expect(try checked.write([7], at: Self.tagged(2, 1)) == 1)
            #expect(try checked.read(at: Self.tagged(2, 0), count: 2) == [1, 7])
            #expect(throws: Errno(EFAULT)) { try other.read(at: Self.tagged(2, 0), count: 2) }
            try checked.setProcessor {
                $0.tco = 0
                $0.tcma = 1
            }
            #expect(try checked.read(at: 0, count: 2) == [1, 7])
            #expect(throws: Errno(EFAULT)) { try checked.read(at: Self.tagged(2, 0), count: 2) }
        }
    }

    @Test("IRG goes by the open file's GCR and RGSR") func randomTags() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            let new = try mem.processor()
            #expect(new.gcr_rrnd == 1 && new.gcr_exclude == 0 && new.tco == 0 && new.tcma == 0)
            try mem.setProcessor { $0.gcr_exclude = 0xfe0f }
            let seen = try Set(
                (0..<300).map { _ in try mem.execute(TAGMEM_IRG, xn: 0x1234, xm: 1 << 4) >> 56 })
            #expect(seen == [5, 6, 7, 8])
            try mem.setProcessor { $0.gcr_exclude = 0xffff }
            #expect(try mem.execute(TAGMEM_IRG, xn: Self.tagged(9, 0x10)) == 0x10)
            #expect(try mem.execute(TAGMEM_GMI, xn: Self.tagged(9, 0), xm: 1 << 40 | 1) == 1 << 40 | 0x201)
        }
    }

    // MARK: Modes

    @Test("the mode by ioctl is the file's") func modes() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            for (number, name) in [
                (0, "none"), (1, "sync"), (2, "async"), (3, "asymm"), (5, "sync,store-only"),
                (14, "async,store-only,canonical"),
            ] {
                try mem.setModeNumber(UInt32(number))
                #expect(try contents(of: device.path("tagged/a/mode")) == "\(name)\n")
                #expect(try mem.modeNumber() == number)
            }
            #expect(throws: Errno(EINVAL)) { try mem.setModeNumber(16) }
        }
    }

    // MARK: Reports

    @Test("a report is a line of the log, whose program the kernel names") func reports() throws {
        try withObject { device in
            let view = try device.open("tagged/a/views/3", O_RDONLY)
            var report = tagmem_report()
            report.address = Self.tagged(3, 0x1238)
            report.size = 8
            report.store = 1
            report.mode = 1
            report.allocation_tag = 9
            let faults = try device.newFaults { _ = try view.control(ctagmem_REPORT_FAULT, &report) }
            let fault = try #require(faults.first)
            #expect(faults.count == 1)
            #expect(fault["mode"] == "sync" && fault["access"] == "store" && fault["object"] == "tagged/a")
            #expect(fault["view"] == "3" && fault.offset == 0x1238 && fault["size"] == "8")
            #expect(fault["address_tag"] == "3" && fault["allocation_tag"] == "9" && fault.pid == getpid())
            #expect(fault.address == Self.tagged(3, 0x1238))
            for change in [
                { $0.mode = 0 }, { $0.mode = 5 }, { $0.size = 0 }, { $0.allocation_tag = 16 },
                { $0.store = 2 },
                { $0.reserved = 1 }, { $0.address = Self.tagged(4, 0) }, { $0.address |= 1 << 60 },
            ] as [(inout tagmem_report) -> Void] {
                var bad = report
                change(&bad)
                #expect(throws: Errno(EINVAL)) { try view.control(ctagmem_REPORT_FAULT, &bad) }
            }
            #expect(try device.faults().count == faults.count)
        }
    }

    // MARK: Bad input

    @Test("what makes no sense is refused, and changes nothing") func badInput() throws {
        try withObject { device in
            let mem = try device.open("tagged/a/mem")
            try mem.fillTags(7, at: 0, length: 4096)
            let before = try device.open("tagged/a/tags").rest()
            func refuse<Argument: BitwiseCopyable>(
                _ command: UInt32, _ argument: Argument, _ error: Int32 = EINVAL,
                _ sourceLocation: SourceLocation = #_sourceLocation
            ) {
                var argument = argument
                #expect(throws: Errno(error), sourceLocation: sourceLocation) {
                    try mem.control(command, &argument)
                }
            }
            func tags(_ change: (inout tagmem_tags) -> Void) -> tagmem_tags {
                var tags = tagmem_tags()
                tags.count = 1
                change(&tags)
                return tags
            }
            for command in [ctagmem_GET_TAGS, ctagmem_SET_TAGS] {
                refuse(command, tags { $0.count = 0 })
                refuse(command, tags { $0.count = 257 })
                refuse(command, tags { $0.count = .max })
                refuse(command, tags { $0.reserved = 1 })
                refuse(command, tags { $0.address = 1 << 20 }, ENXIO)
                refuse(command, tags { $0.address = .max }, ENXIO)
                // The end of the object is in the middle of it.
                refuse(command, tags { ($0.address, $0.count) = (1 << 20 - 16, 2) }, ENXIO)
            }
            refuse(ctagmem_SET_TAGS, tags { $0.tags.0 = 16 })
            func fill(_ change: (inout tagmem_fill) -> Void) -> tagmem_fill {
                var fill = tagmem_fill()
                fill.length = 16
                change(&fill)
                return fill
            }
            refuse(ctagmem_FILL_TAGS, fill { $0.tag = 16 })
            refuse(ctagmem_FILL_TAGS, fill { $0.zero = 2 })
            refuse(ctagmem_FILL_TAGS, fill { $0.length = 0 })
            refuse(ctagmem_FILL_TAGS, fill { $0.length = 24 })
            refuse(ctagmem_FILL_TAGS, fill { $0.address = 8 })
            refuse(ctagmem_FILL_TAGS, fill { $0.reserved.5 = 1 })
            func instruction(_ change: (inout tagmem_instruction) -> Void) -> tagmem_instruction {
                var instruction = tagmem_instruction()
                instruction.operation = TAGMEM_STG.rawValue
                change(&instruction)
                return instruction
            }
            for operation in [0, TAGMEM_DC_GZVA.rawValue + 1, .max] {
                refuse(ctagmem_EXECUTE, instruction { $0.operation = operation })
            }
            refuse(ctagmem_EXECUTE, instruction { $0.reserved = 1 })
            refuse(ctagmem_EXECUTE, instruction { $0.offset = 16 })
            refuse(ctagmem_EXECUTE, instruction { $0.tag_offset = 1 })
            refuse(ctagmem_EXECUTE, instruction { $0.xn = 8 })
            refuse(ctagmem_EXECUTE, instruction { $0.xn = 1 << 20 }, ENXIO)
            for operation in [TAGMEM_ST2G, TAGMEM_STZ2G] {
                refuse(
                    ctagmem_EXECUTE,
                    instruction { ($0.operation, $0.xn) = (operation.rawValue, 1 << 20 - 16) }, ENXIO)
            }
            for offset: UInt16 in [8, 1024] {
                refuse(
                    ctagmem_EXECUTE,
                    instruction { ($0.operation, $0.offset) = (TAGMEM_ADDG.rawValue, offset) })
            }
            refuse(
                ctagmem_EXECUTE, instruction { ($0.operation, $0.tag_offset) = (TAGMEM_SUBG.rawValue, 16) })
            func access(_ change: (inout tagmem_access) -> Void) -> tagmem_access {
                var access = tagmem_access()
                access.address = Self.tagged(7, 0)
                access.size = 1
                change(&access)
                return access
            }
            refuse(ctagmem_ACCESS, access { $0.size = 0 })
            refuse(ctagmem_ACCESS, access { $0.size = 65 })
            refuse(ctagmem_ACCESS, access { $0.store = 2 })
            refuse(ctagmem_ACCESS, access { $0.fault.effect = 1 })
            refuse(ctagmem_ACCESS, access { $0.address |= 1 << 63 })
            refuse(ctagmem_ACCESS, access { ($0.address, $0.size) = (1 << 20 - 1, 2) }, ENXIO)
            func processor(_ change: (inout tagmem_processor) -> Void) -> tagmem_processor {
                var processor = tagmem_processor()
                change(&processor)
                return processor
            }
            refuse(ctagmem_SET_PROCESSOR, processor { $0.tco = 2 })
            refuse(ctagmem_SET_PROCESSOR, processor { $0.tcma = 2 })
            refuse(ctagmem_SET_PROCESSOR, processor { $0.gcr_rrnd = 2 })
            refuse(ctagmem_SET_PROCESSOR, processor { $0.rgsr_tag = 16 })
            refuse(ctagmem_SET_PROCESSOR, processor { $0.reserved.0 = 1 })
            // Another size is another number.
            let page = tagmem_tags()
            refuse(ctagmem_GET_TAGS ^ 1 << 16, page, ENOTTY)
            refuse(ctagmem_GET_TAGS ^ 1 << 30, page, ENOTTY)
            refuse(0xa70a, page, ENOTTY)
            refuse(UInt32(TCGETS), page, ENOTTY)
            #expect(try device.open("tagged/a/tags").rest() == before)
            #expect(try device.mode() == "sync\n")
        }
    }

    @Test("files that show no memory have no ioctls; objects that are untagged or gone say so") func others()
        throws
    {
        try withObject { device in
            for name in ["meminfo", "tagged/a/mode", "faults", "control/pin", "firmware/fdt"] {
                var tags = tagmem_tags()
                #expect(throws: Errno(ENOTTY)) {
                    try device.open(name, O_RDONLY).control(ctagmem_GET_TAGS, &tags)
                }
            }
            let mem = try device.open("tagged/a/mem")
            try mem.storeTags([1], at: 0)
            try device.move("tagged/a", to: "untagged/a")
            #expect(throws: Errno(EOPNOTSUPP)) { try mem.loadTags(at: 0, count: 1) }
            #expect(throws: Errno(EOPNOTSUPP)) { try mem.execute(TAGMEM_STG, xn: 0) }
            #expect(throws: Errno(EOPNOTSUPP)) { try mem.load(0, count: 1) }
            try device.move("untagged/a", to: "tagged/a")
            try mem.storeTags([2], at: 0)
            try device.remove("tagged/a")
            #expect(try mem.loadTags(at: 0, count: 1) == [2])
            try mem.truncate(0)
            #expect(throws: Errno(ENXIO)) { try mem.loadTags(at: 0, count: 1) }
        }
    }

    @Test("a full device is ENOSPC") func fullDevice() throws {
        try withDevice(size: "2M", runsOut: true) { device in
            try device.make("tagged/a")
            let mem = try device.open("tagged/a/mem")
            try mem.truncate(1 << 20)
            try Script().punch(device.path("tagged/a/mem"), at: 0, count: 1 << 20)
            try device.make("untagged/b")
            let other = try device.open("untagged/b/mem")
            var size = 1 << 20
            while (try? other.truncate(size)) != nil { size += 4096 }
            #expect(throws: Errno(ENOSPC)) { try mem.storeTags([1], at: 0) }
            #expect(throws: Errno(ENOSPC)) { try mem.execute(TAGMEM_STZG, xn: 0) }
            #expect(throws: Errno(ENOSPC)) { try mem.store([1], 0) }
            #expect(try mem.loadTags(at: 0, count: 1) == [0])
        }
    }

    // MARK: Together

    @Test("two processors that store the two tags of one byte lose neither", .repeatable) func oneByte()
        throws
    {
        try withObject { device in
            let threads = (0..<2).map { index in
                Worker {
                    let mem = try device.open("tagged/a/mem")
                    let address = UInt64(16 * index)
                    for step in 0..<2000 {
                        let tag = UInt64(step % 16)
                        try mem.execute(TAGMEM_STG, xt: tag << 56, xn: address)
                        let found = try mem.execute(TAGMEM_LDG, xn: address) >> 56
                        try #require(found == tag, "granule \(index), step \(step)")
                    }
                }
            }
            for thread in threads { try thread.join() }
        }
    }

    @Test("instructions go on while the object's pages move") func moving() throws {
        try withDevice(size: "8M") { device in
            // Blocks that are half full, so that compaction has something to move.
            try device.make("tagged/a", pages: 256)
            let mem = try device.open("tagged/a/mem")
            let script = try Script()
            func thin() throws {
                for page in stride(from: 0, to: 256, by: 2) {
                    try script.punch(device.path("tagged/a/mem"), at: page * 4096, count: 4096)
                }
            }
            try thin()
            let worker = Worker {
                for round in 0..<20 {
                    for page in stride(from: 1, to: 256, by: 2) {
                        let tag = UInt64((page + round) % 16)
                        let address = UInt64(page * 4096 + 16 * (page % 255))
                        try mem.execute(TAGMEM_STZ2G, xt: tag << 56, xn: address)
                        _ = try mem.store([UInt8(page)], tag << 56 | address)
                        let (bytes, fault) = try mem.load(tag << 56 | address, count: 2)
                        try #require(bytes == [UInt8(page), 0] && fault.effect == 0, "page \(page)")
                    }
                }
            }
            for _ in 0..<10 {
                try device.open("control/compact").write("1")
                for page in stride(from: 0, to: 256, by: 2) {
                    try mem.fillTags(1, at: UInt64(page * 4096), length: 16)
                }
                try thin()
            }
            try worker.join()
        }
    }
}
