import Glibc
import Testing

@Suite("Objects that turn tagged and untagged", .timeLimit(.minutes(2)))
struct ConversionTests {
    @Test("mv to tagged keeps contents and mappings; tags start at 0") func toTagged() throws {
        try withDevice { device in
            let file = try device.make("untagged/a", pages: 40, seed: 1)
            let scripts = try (0..<2).map { _ in try Script() }
            for script in scripts {
                try script.map(0, device.path("untagged/a/mem"), at: 0, length: 40 * 4096)
                #expect(try script("verify 0 0 40 1") == "ok")
            }
            #expect(try scripts[0]("fill 0 0 20 2") == "ok")
            #expect(try scripts[1]("fill 0 20 20 2") == "ok")
            // Rubbish where the tags may be.
            let used = Set(try device.addresses(of: "untagged/a"))
            for address in stride(from: device.map.tagBase, to: device.map.end, by: 4096)
            where !used.contains(address) {
                try device.store([UInt8](repeating: 0xee, count: 4096), at: address)
            }
            try device.move("untagged/a", to: "tagged/b")
            #expect(try device.amount("Tagged") == 40 && device.amount("Untagged") == 0)
            for script in scripts { #expect(try script("verify 0 0 40 2") == "ok") }
            #expect(try file.firstPageUnlike(2, pages: 40) == nil)
            let tags = try device.open("tagged/b/tags").read(at: 0, count: 1 << 16)
            #expect(tags == [UInt8](repeating: 0, count: 40 * 128))
            #expect(try scripts[0]("fill 0 0 40 3") == "ok")
            try scripts[1].map(1, device.path("tagged/b/views/0"), at: 0, length: 40 * 4096)
            #expect(try scripts[1]("verify 1 0 40 3") == "ok")
            #expect(try scripts[1]("fill 1 0 40 4") == "ok")
            #expect(try scripts[0]("verify 0 0 40 4") == "ok")
            #expect(throws: Errno(EFAULT)) { try device.open("tagged/b/views/1").read(at: 0, count: 1) }
            #expect(try device.open("tagged/b/mode").next() == Array("sync\n".utf8))
            try device.expectCompact()
            #expect(try device.amount("TagStorageReserved") == 2)
        }
    }

    @Test("mv to untagged drops tags, takes views away and gives the Tag Pages back") func toUntagged() throws
    {
        try withDevice { device in
            let file = try device.make("tagged/a", pages: 40, seed: 1)
            let digits = (0..<40 * 256).map { UInt8(ascii: $0 / 256 % 2 == 0 ? "5" : "0") }
            try device.open("tagged/a/tags.hex").write(digits, at: 0)
            let script = try Script()
            try script.map(5, device.path("tagged/a/views/5"), at: 0, length: 40 * 4096)
            try script.map(0, device.path("tagged/a/views/0"), at: 0, length: 40 * 4096)
            try script.map(1, device.path("tagged/a/mem"), at: 0, length: 40 * 4096)
            try script.map(2, device.path("tagged/a/tags"), at: 0, length: 2 * 4096)
            // Dirty through a view when its object turns: kept.
            #expect(try script("fill 5 0 1 9") == "ok")
            #expect(try script("fill 0 1 1 9") == "ok")
            #expect(try script("load 2 0") == "0x55")
            try device.move("tagged/a", to: "untagged/a")
            #expect(try device.amount("Tagged") == 0 && device.amount("Untagged") == 40)
            #expect(try device.amount("TagStorageReserved") == 0)
            #expect(try names(in: device.path("untagged/a")) == ["mem", "pages"])
            for name in ["views", "views/5", "tags", "tags.hex", "checked", "mode", "tfsr"] {
                #expect(throws: Errno(ENOENT), "\(name)") {
                    try status(of: device.path("untagged/a/\(name)"))
                }
                #expect(throws: Errno(ENOENT), "\(name)") { try device.open("untagged/a/\(name)", O_RDONLY) }
            }
            for slot in [5, 0, 2] {
                #expect(try script("load \(slot) 0").hasPrefix("SIGBUS"), "\(slot)")
                #expect(try script("store \(slot) 100 1 7").hasPrefix("SIGBUS"), "\(slot)")
                #expect(try script("read \(slot) 0 16") == "EOPNOTSUPP", "\(slot)")
                #expect(try script("write \(slot) 0 16 7") == "EOPNOTSUPP", "\(slot)")
            }
            #expect(try script("verify 1 0 2 9") == "ok")
            #expect(try script("verify 1 2 38 1") == "ok")
            #expect(try file.readAll(1 << 20) == pattern(9, pages: 2) + pattern(1, pages: 38, from: 2))
            // All memory is for untagged use again.
            #expect(try device.available("untagged") == device.pages - 40)
            // Back, the descriptors serve again; the tags are gone.
            try device.move("untagged/a", to: "tagged/c")
            #expect(try script("load 5 0").hasPrefix("SIGBUS BUS_ADRERR"))
            #expect(try script("verify 0 0 2 9") == "ok")
            #expect(try script("load 2 0") == "0x00")
            #expect(try script("read 5 0 16") == "EFAULT")
            #expect(try script("read 0 0 16") == "16")
        }
    }

    @Test("A conversion that has no room changes nothing") func noRoom() throws {
        try withDevice(runsOut: true) { device in
            // 528 pages: with 500 untagged and 20 tagged ones (1 Tag Page) 7 are free.
            let file = try device.make("untagged/a", pages: 400, seed: 1)
            let other = try device.make("untagged/b", pages: 100, seed: 2)
            let tagged = try device.make("tagged/t", pages: 20, seed: 3)
            try device.open("tagged/t/tags").write([UInt8](repeating: 0x66, count: 20 * 128), at: 0)
            let script = try Script()
            try script.map(0, device.path("untagged/a/mem"), at: 0, length: 400 * 4096)
            #expect(try script("fill 0 0 400 4") == "ok")
            let before = try device.amounts()
            #expect(before["Free"] == 7)
            for _ in 0..<3 {
                #expect(throws: Errno(ENOSPC)) { try device.move("untagged/a", to: "tagged/a") }
                #expect(try names(in: device.path("tagged")) == ["t"])
                #expect(try names(in: device.path("untagged")) == ["a", "b"])
                try device.expectCompact()
                let after = try device.amounts()
                for name in ["Tagged", "Untagged", "Free", "TaggedAvailable", "UntaggedAvailable"] {
                    #expect(after[name] == before[name], "\(name)")
                }
                #expect(try script("verify 0 0 400 4") == "ok")
                #expect(try other.firstPageUnlike(2, pages: 100) == nil)
                #expect(try tagged.firstPageUnlike(3, pages: 20) == nil)
            }
            #expect(
                try device.open("tagged/t/tags").read(at: 0, count: 4096)
                    == [UInt8](repeating: 0x66, count: 20 * 128))
            // The name was not taken meanwhile.
            try device.make("tagged/a")
            #expect(throws: Errno(ENOTEMPTY)) { try device.move("untagged/a", to: "tagged/a") }
            try device.remove("tagged/a")
            // 100 pages more in tagged use take 3 Tag Pages more, which there are.
            try device.move("untagged/b", to: "tagged/b")
            #expect(try device.amount("Free") == 4)
            #expect(try other.firstPageUnlike(2, pages: 100) == nil)
            #expect(try file.firstPageUnlike(4, pages: 400) == nil)
            try device.move("tagged/b", to: "untagged/b")
            try device.expectCompact()
            #expect(try device.amounts()["Free"] == 7)
        }
    }

    @Test("There and back under stores loses nothing") func underStores() throws {
        try withDevice { device in
            try device.make("untagged/a", pages: 64, seed: 1)
            let scripts = try (0..<2).map { _ in try Script() }
            for (index, script) in scripts.enumerated() {
                try script.map(0, device.path("untagged/a/mem"), at: 0, length: 64 * 4096)
                #expect(try script("fill 0 \(index * 32) 32 1") == "ok")
            }
            for round in 2..<22 {
                for (index, script) in scripts.enumerated() {
                    #expect(try script("verify 0 \(index * 32) 32 \(round - 1)") == "ok")
                    // The answer is not waited for: the object turns meanwhile.
                    try script.begin("fill 0 \(index * 32) 32 \(round)")
                }
                let (from, to) = round % 2 == 0 ? ("untagged", "tagged") : ("tagged", "untagged")
                try device.move("\(from)/a", to: "\(to)/a")
                for script in scripts { #expect(try script.end() == "ok") }
            }
            #expect(try device.open("untagged/a/mem").firstPageUnlike(21, pages: 64) == nil)
        }
    }

    @Test("An object with holes keeps them") func holes() throws {
        try withDevice { device in
            let file = try device.make("untagged/a", pages: 8, seed: 1)
            let script = try Script()
            try script.punch(device.path("untagged/a/mem"), at: 2 * 4096, count: 3 * 4096)
            var expected = pattern(1, pages: 8)
            expected.replaceSubrange(2 * 4096..<5 * 4096, with: [UInt8](repeating: 0, count: 3 * 4096))
            for (from, to, name) in [("untagged", "tagged", "Tagged"), ("tagged", "untagged", "Untagged")] {
                try device.move("\(from)/a", to: "\(to)/a")
                #expect(try device.amount(name) == 5)
                #expect(try file.seek(0, .hole) == 2 * 4096 && file.seek(2 * 4096, .data) == 5 * 4096)
                #expect(try file.readAll(1 << 20) == expected)
            }
        }
    }

    @Test(
        "A write through a view that is refused has changed nothing",
        arguments: [[], ["page_cache"]])
    func refusedWrites(mountOptions: [String]) throws {
        try withDevice(size: "128M", mountOptions: mountOptions, limit: 90) { device in
            let outcome = try client(["refused", device.mountpoint], timeout: 70)
            #expect(outcome.succeeded && outcome.output.contains("ok refused"), "\(outcome)")
        }
    }
}
