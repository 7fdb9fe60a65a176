import Glibc
import Testing

@Suite("The knobs: pins, atomic objects, reserves", .timeLimit(.minutes(2)))
struct KnobTests {
    @Test("Pinned ranges are listed, shown in pages, and counted") func pinnedRanges() throws {
        try withDevice { device in
            try device.make("tagged/a b", pages: 10, seed: 1)
            try device.make("untagged/u", pages: 10, seed: 1)
            #expect(try device.knob("pin") == "")
            // By pages: what a range touches is pinned.
            try device.setKnob("pin", "tagged/a b 4100 1")
            try device.setKnob("pin", "tagged/a b 0x3000 8K")
            try device.setKnob("pin", "untagged/u 0 40960")
            #expect(
                try device.knob("pin") == """
                    tagged/a b 4096 4096
                    tagged/a b 12288 8192
                    untagged/u 0 40960

                    """)
            #expect(try device.amount("Pinned") == 13)
            let lines = try contents(of: device.path("tagged/a b/pages")).split(separator: "\n")
            #expect(lines.indices.filter { lines[$0].hasSuffix("pinned") } == [1, 3, 4])
            // Pins do not nest.
            try device.setKnob("pin", "untagged/u 0 40960")
            try device.setKnob("unpin", "untagged/u 4096 8192")
            try device.setKnob("unpin", "untagged/u 4096 8192")
            try device.setKnob("unpin", "tagged/a b 0 40960")
            #expect(try device.knob("pin") == "untagged/u 0 4096\nuntagged/u 12288 28672\n")
            // They go along with a rename, and with the pages.
            try device.move("untagged/u", to: "untagged/v")
            #expect(try device.knob("pin") == "untagged/v 0 4096\nuntagged/v 12288 28672\n")
            try device.open("untagged/v/mem").truncate(4 * 4096)
            #expect(try device.knob("pin") == "untagged/v 0 4096\nuntagged/v 12288 4096\n")
            let script = try Script()
            try script.punch(device.path("untagged/v/mem"), at: 0, count: 4096)
            #expect(try device.knob("pin") == "untagged/v 12288 4096\n")
            try device.open("untagged/v/mem").truncate(10 * 4096)
            #expect(try device.amount("Pinned") == 1)
            try device.remove("untagged/v")
            #expect(try eventually { try device.amount("Pinned") == 0 })
            try device.remove("tagged/a b")
            try device.expectAllFree()
        }
    }

    @Test("All memory is one file's, or the objects'") func claim() throws {
        try withDevice { device in
            let first = try device.open("control/claim")
            let second = try device.open("control/claim")
            func claim(_ file: File, _ digit: UInt8) throws { try file.write([digit], at: 0) }
            let (one, zero) = (UInt8(ascii: "1"), UInt8(ascii: "0"))
            try device.make("tagged/heap", pages: 1)
            #expect(throws: Errno(EBUSY)) { try claim(first, one) }
            // An object that has no name any more is one still.
            let memory = try device.open("tagged/heap/mem")
            try device.remove("tagged/heap")
            #expect(throws: Errno(EBUSY)) { try claim(first, one) }
            try memory.close()
            #expect(eventually { (try? claim(first, one)) != nil })
            try claim(first, one)
            #expect(try device.knob("claim") == "1\n")
            #expect(throws: Errno(EBUSY)) { try claim(second, one) }
            try claim(second, zero)
            #expect(try device.knob("claim") == "1\n")
            for directory in ["tagged", "untagged"] {
                #expect(unsafe mkdir(device.path("\(directory)/x"), 0o755) == -1 && errno == EBUSY)
            }
            #expect(throws: Errno(EBUSY)) { try device.setKnob("reserve_tagged", "1") }
            try device.setKnob("reserve_tagged", "0")
            // It goes with the file.
            try first.close()
            #expect(try eventually { try device.knob("claim") == "0\n" })
            try device.setKnob("reserve_untagged", "1")
            #expect(throws: Errno(EBUSY)) { try claim(second, one) }
            try device.setKnob("reserve_untagged", "0")
            #expect(eventually { (try? claim(second, one)) != nil })
            try claim(second, zero)
            try device.make("untagged/x", pages: 1)
            for word in ["2", "", "11"] {
                #expect(throws: Errno(EINVAL)) { try second.write(Array(word.utf8) + [10], at: 0) }
            }
        }
    }

    @Test("Names with blanks at their ends are names") func blanks() throws {
        try withDevice { device in
            for name in ["k", "k ", " k", "k  "] { try device.make("tagged/\(name)", pages: 1) }
            try device.setKnob("atomic", "tagged/k  1")
            #expect(try device.knob("atomic") == "tagged/k \n")
            try device.setKnob("atomic", "tagged/k   1")
            try device.setKnob("atomic", "tagged/k  0")
            #expect(try device.knob("atomic") == "tagged/k  \n")
            try device.setKnob("pin", "tagged/ k 0 4096")
            try device.setKnob("pin", "tagged/k  0 4096")
            #expect(try device.knob("pin") == "tagged/k  0 4096\ntagged/ k 0 4096\n")
            try device.setKnob("unpin", "tagged/k  0 4096")
            #expect(try device.knob("pin") == "tagged/ k 0 4096\n")
            #expect(throws: Errno(ENOENT)) { try device.setKnob("pin", "tagged/x  0 4096") }
            #expect(throws: Errno(EINVAL)) { try device.setKnob("pin", "tagged/k 0  4096") }
        }
    }

    @Test("What makes no sense as a range is refused, and nothing is pinned") func wrongRanges() throws {
        try withDevice { device in
            try device.make("untagged/u", pages: 4)
            let script = try Script()
            try script.punch(device.path("untagged/u/mem"), at: 2 * 4096, count: 4096)
            for (value, code) in [
                ("", EINVAL), ("untagged/u", EINVAL), ("untagged/u 0", EINVAL), ("untagged/u 0 0", EINVAL),
                ("untagged/u x 4096", EINVAL), ("untagged/u 0 -1", EINVAL), ("untagged/u -4096 4096", EINVAL),
                ("untagged/u 0 16385", EINVAL), ("untagged/u 16384 1", EINVAL), ("0 4096", EINVAL),
                ("untagged/u 18446744073709551615 2", EINVAL),
                ("untagged/u 4096 18446744073709551615", EINVAL),
                ("untagged/x 0 4096", ENOENT), ("u 0 4096", ENOENT), ("phys 0 4096", ENOENT),
                ("tagged/u 0 4096", ENOENT), ("untagged/u/mem 0 4096", ENOENT),
                ("untagged/u 0 16384", ENXIO), ("untagged/u 8192 1", ENXIO), ("untagged/u 4096 8192", ENXIO),
            ] as [(String, Int32)] {
                for knob in ["pin", "unpin"] {
                    #expect(throws: Errno(code), "\(value)") { try device.setKnob(knob, value) }
                }
            }
            let long = String(repeating: "x", count: 600)
            #expect(throws: Errno(EINVAL)) { try device.setKnob("pin", "untagged/\(long) 0 4096") }
            #expect(try device.knob("pin") == "" && device.amount("Pinned") == 0)
        }
    }

    @Test("What pinned pages stand in the way of is refused, and can be had without them") func pinsInTheWay()
        throws
    {
        try withDevice(size: "1M", runsOut: true) { device in
            // Eight blocks, all Tag Pages in use for data, and all of that pinned.
            let file = try device.make("untagged/u", pages: 264, seed: 1)
            try device.setKnob("pin", "untagged/u 0 \(264 * 4096)")
            let script = try Script()
            let addresses = try device.addresses(of: "untagged/u")
            // Free pages of data memory, and none of tag storage.
            let free = addresses.indices.filter { (addresses[$0] ?? 0) < device.map.tagBase }.prefix(40)
            for page in free { try script.punch(device.path("untagged/u/mem"), at: page * 4096, count: 4096) }
            #expect(try device.amount("Free") == 40 && device.available("tagged") == 0)
            try device.make("tagged/t")
            #expect(throws: Errno(ENOSPC)) { try device.open("tagged/t/mem").truncate(8 * 4096) }
            #expect(try status(of: device.path("tagged/t/mem")).st_size == 0)
            #expect(throws: Errno(ENOSPC)) { try device.move("untagged/u", to: "tagged/u") }
            #expect(try device.amount("Untagged") == 224 && device.amount("Pinned") == 224)
            var range = 0
            for line in try device.knob("pin").split(separator: "\n") {
                let words = line.split(separator: " ")
                try device.setKnob("unpin", line.description)
                range += try #require(Int(words[2])) / 4096
            }
            #expect(range == 224)
            #expect(try device.available("tagged") > 8)
            try device.open("tagged/t/mem").truncate(8 * 4096)
            let found = try file.readAll(264 * 4096)
            var expected = pattern(1, pages: 264)
            for page in free {
                expected.replaceSubrange(
                    page * 4096..<(page + 1) * 4096, with: [UInt8](repeating: 0, count: 4096))
            }
            #expect(found == expected)
        }
    }

    @Test(
        "An atomic object has pages at once or not at all, without moving any",
        arguments: ["tagged", "untagged"])
    func atomicObjects(directory: String) throws {
        try withDevice(size: "1M", runsOut: true) { device in
            try device.setKnob("compaction", "0")
            try device.make("\(directory)/now")
            try device.setKnob("atomic", "\(directory)/now 1")
            #expect(try device.knob("atomic") == "\(directory)/now\n")
            // 264 pages: what is left can be had as tagged pages only by moving others.
            try device.make("untagged/u", pages: 220, seed: 1)
            let file = try device.open("\(directory)/now/mem")
            if directory == "tagged" {
                #expect(try device.available("tagged") == 42)
                let before = try device.counters()
                #expect(throws: Errno(ENOSPC)) { try file.truncate(40 * 4096) }
                let after = try device.counters()
                #expect(after["pgmigrate_success"] == before["pgmigrate_success"])
                #expect(try #require(after["atomic_refused"]) > #require(before["atomic_refused"]))
                #expect(try file.size == 0 && device.amount("Tagged") == 0)
                // The same is no matter for an object that may wait.
                try device.setKnob("atomic", "tagged/now 0")
                #expect(try device.knob("atomic") == "")
                try file.truncate(40 * 4096)
                #expect(try device.counter("pgmigrate_success") > #require(before["pgmigrate_success"]))
            } else {
                try file.truncate(44 * 4096)
                #expect(throws: Errno(ENOSPC)) { try file.write([1], at: 44 * 4096) }
                #expect(try device.counter("atomic_refused") == 1)
                #expect(try file.size == 44 * 4096)
            }
            #expect(try device.open("untagged/u/mem").firstPageUnlike(1, pages: 220) == nil)
            #expect(throws: Errno(ENOSPC)) { try device.make("untagged/x", pages: 264) }
        }
    }

    @Test(
        "A reserve is set aside, serves atomic objects, and fills again", arguments: ["tagged", "untagged"])
    func reserves(directory: String) throws {
        try withDevice(size: "1M", runsOut: true) { device in
            let knob = "reserve_\(directory)"
            #expect(try device.knob(knob) == "0\n")
            let before = try device.available(directory)
            try device.setKnob(knob, "12")
            #expect(try device.knob(knob) == "12\n" && device.amount("AtomicReserve") == 12)
            #expect(try device.available(directory) == before - 12)
            // Everything else is taken by objects that are as others.
            try device.make("\(directory)/u", pages: before - 12, seed: 1)
            #expect(try device.available(directory) == 0)
            #expect(throws: Errno(ENOSPC)) { try device.make("\(directory)/v", pages: 1) }
            try device.make("\(directory)/now")
            let file = try device.open("\(directory)/now/mem")
            #expect(throws: Errno(ENOSPC)) { try file.truncate(4096) }
            try device.setKnob("atomic", "\(directory)/now 1")
            try file.truncate(5 * 4096)
            #expect(try device.amount("AtomicReserve") == 7)
            #expect(try device.counter("atomic_from_reserve") == 5)
            #expect(try file.readAll(1 << 20).allSatisfy { $0 == 0 })
            try file.writeAll(pattern(2, pages: 5))
            #expect(throws: Errno(ENOSPC)) { try file.truncate(13 * 4096) }
            #expect(try file.size == 5 * 4096 && file.firstPageUnlike(2, pages: 5) == nil)
            // What comes back goes to the reserve first.
            #expect(try eventually { try device.amount("AtomicReserve") == 7 })
            try device.open("\(directory)/u/mem").truncate((before - 15) * 4096)
            #expect(try eventually { try device.amount("AtomicReserve") == 10 })
            try file.truncate(0)
            #expect(try eventually { try device.amount("AtomicReserve") == 12 })
            try device.setKnob(knob, "0")
            #expect(try device.amount("AtomicReserve") == 0)
            #expect(try device.open("\(directory)/u/mem").firstPageUnlike(1, pages: before - 15) == nil)
            // More than there is: all that there is.
            try device.setKnob(knob, "264")
            #expect(try device.amount("AtomicReserve") == 15)
            try device.setKnob(knob, "0")
            for value in ["-1", "265", "x", "", "1 2"] {
                #expect(throws: Errno(EINVAL), "\(value)") { try device.setKnob(knob, value) }
            }
            #expect(try device.knob(knob) == "0\n")
        }
    }

    @Test("Values that are none are refused") func wrongValues() throws {
        try withDevice { device in
            try device.make("tagged/a")
            for (knob, value, code) in [
                ("compaction", "2", EINVAL), ("compaction", "", EINVAL), ("compaction", "on", EINVAL),
                ("atomic", "tagged/a", EINVAL), ("atomic", "1", EINVAL), ("atomic", "tagged/a 2", EINVAL),
                ("atomic", "tagged/b 1", ENOENT), ("atomic", "a 1", ENOENT), ("atomic", "", EINVAL),
            ] as [(String, String, Int32)] {
                #expect(throws: Errno(code), "\(knob) \(value)") { try device.setKnob(knob, value) }
            }
            #expect(try device.knob("compaction") == "1\n" && device.knob("atomic") == "")
            try device.setKnob("compaction", "0")
            #expect(try device.knob("compaction") == "0\n")
        }
    }
}
