import Glibc
import TestSupport
import Testing

@Suite("Pages that move under mappings", .timeLimit(.minutes(3)))
struct MigrationTests {
    /// Untagged data everywhere, mapped and dirty, in Tag Pages too; then tagged objects grow into its blocks.
    @Test("Tagged objects grow where untagged data was, mapped and dirty") func dirtyMappings() throws {
        try withDevice(size: "4M", limit: 100) { device in
            // 32 blocks, 1056 pages.
            let count = 400
            let scripts = try (0..<2).map { _ in try Script() }
            for (index, script) in scripts.enumerated() {
                try device.make("untagged/u\(index)", pages: count, seed: 1)
                try script.map(0, device.path("untagged/u\(index)/mem"), at: 0, length: count * 4096)
                #expect(try script("fill 0 0 \(count) \(10 + index)") == "ok")
            }
            #expect(try device.amount("TagStorageReused") >= 20)
            let before = try device.counter("pgmigrate_success")
            // What is tagged grows to the last page: 1056 - 800 = 256 = 248 + 8.
            let tagged = try device.make("tagged/t", pages: 0)
            for pages in stride(from: 8, through: 248, by: 8) {
                try tagged.truncate(pages * 4096)
                // Dirty again meanwhile.
                #expect(try scripts[0]("fill 0 \(pages) 4 10") == "ok")
            }
            #expect(try device.amount("Free") == 0)
            #expect(try device.available("tagged") == 0 && device.available("untagged") == 0)
            #expect(try device.counter("pgmigrate_success") > before)
            #expect(try tagged.readAll(248 * 4096).allSatisfy { $0 == 0 })
            for (index, script) in scripts.enumerated() {
                #expect(try script("verify 0 0 \(count) \(10 + index)") == "ok")
                let file = try device.open("untagged/u\(index)/mem")
                #expect(try file.firstPageUnlike(10 + index, pages: count) == nil)
            }
            // Every page is somewhere else, and no page is a reserved Tag Page.
            let addresses = try ["untagged/u0", "untagged/u1", "tagged/t"].flatMap {
                try device.addresses(of: $0).compactMap { $0 }
            }
            #expect(addresses.count == 1048 && Set(addresses).count == 1048)
            let reserved = Set(
                try device.addresses(of: "tagged/t").compactMap { $0.map { device.block(of: $0) } })
            #expect(
                !addresses.contains { $0 >= device.map.tagBase && reserved.contains(device.block(of: $0)) })
        }
    }

    @Test("Tags and views go along when tagged pages move") func tagsMove() throws {
        try withDevice(limit: 100) { device in
            try device.setKnob("compaction", "0")
            // Objects of one page each fill all blocks; most go again, so that blocks are sparse.
            for index in 0..<512 { try device.make("tagged/o\(index)", pages: 1) }
            let kept = Array(stride(from: 5, to: 512, by: 37))
            for index in 0..<512 where !kept.contains(index) { try device.remove("tagged/o\(index)") }
            let script = try Script()
            for (slot, index) in kept.enumerated() {
                let digit = String(index % 16, radix: 16)
                let digits = Array(String(repeating: digit, count: 256).utf8)
                try device.open("tagged/o\(index)/tags.hex").write(digits, at: 0)
                try script.map(slot, device.path("tagged/o\(index)/views/\(digit)"), at: 0)
                #expect(try script("fill \(slot) 0 1 \(index)") == "ok")
            }
            try #require(kept.count == 14)
            let before = try kept.map { try device.addresses(of: "tagged/o\($0)") }
            let reserved = try device.amount("TagStorageReserved")
            #expect(reserved > 5)
            try device.setKnob("compact", "1")
            #expect(try device.amount("TagStorageReserved") == 1)
            #expect(try kept.map { try device.addresses(of: "tagged/o\($0)") } != before)
            let faults = try device.newFaults {
                for (slot, index) in kept.enumerated() {
                    #expect(try script("verify \(slot) 0 1 \(index)") == "ok")
                    #expect(try script("fill \(slot) 0 1 \(index + 1000)") == "ok")
                    let file = try device.open("tagged/o\(index)/mem")
                    #expect(try file.readAll(4096) == pattern(index + 1000, pages: 1))
                    let digit = Array(String(index % 16, radix: 16).utf8)[0]
                    let tags = try device.open("tagged/o\(index)/tags.hex").read(at: 0, count: 300)
                    #expect(tags == [UInt8](repeating: digit, count: 256))
                }
            }
            #expect(faults.isEmpty)
        }
    }

    /// `phys` names pages by their physical addresses: those are recalled from it when they move.
    @Test("Pages move that phys has mapped, and it sees what is there then") func underPhysicalMappings()
        throws
    {
        try withDevice(limit: 100) { device in
            let untagged = try device.make("untagged/u", pages: 480, seed: 1)
            let scripts = try (0..<2).map { _ in try Script() }
            try scripts[0].map(0, device.path("untagged/u/mem"), at: 0, length: 480 * 4096)
            #expect(try scripts[0]("fill 0 0 480 2") == "ok")
            // All of tag storage and all data, mapped and read.
            try scripts[1].map(0, device.path("phys/mem"), at: device.map.tagBase, length: 16 * 4096)
            try scripts[1].map(1, device.path("phys/mem"), at: device.map.base, length: 512 * 4096)
            try scripts[1].map(2, device.path("phys/tags"), at: device.map.base / 32, length: 16 * 4096)
            for page in 0..<16 { _ = try scripts[1]("load 0 \(page * 4096)") }
            for page in stride(from: 0, to: 512, by: 3) { _ = try scripts[1]("load 1 \(page * 4096)") }
            for page in 0..<16 { _ = try scripts[1]("load 2 \(page * 4096)") }
            let before = try device.counter("pgmigrate_success")
            let tagged = try device.make("tagged/t", pages: 0)
            for pages in stride(from: 1, through: 46, by: 3) {
                try tagged.truncate(pages * 4096)
                for page in 0..<16 { #expect(try scripts[1]("load 0 \(page * 4096 + 3)").hasPrefix("0x")) }
                _ = try scripts[1]("load 1 \(pages * 4096)")
            }
            #expect(try device.counter("pgmigrate_success") > before)
            #expect(try scripts[0]("verify 0 0 480 2") == "ok")
            #expect(try untagged.firstPageUnlike(2, pages: 480) == nil)
            // Each page is where `pages` says that it is.
            try tagged.writeAll(pattern(3, pages: 46))
            for (name, seed) in [("untagged/u", 2), ("tagged/t", 3)] {
                for (page, address) in try device.addresses(of: name).enumerated() {
                    let found = try device.memory(at: try #require(address), count: 4096)
                    #expect(found == pattern(seed, pages: 1, from: page), "\(name) \(page)")
                }
            }
            for (page, address) in try device.addresses(of: "tagged/t").enumerated() {
                let offset = try #require(address) - device.map.base
                let word = try scripts[1]("load 1 \(offset + 1)")
                let expected = pattern(3, pages: 1, from: page)[1]
                #expect(Int(word.dropFirst(2), radix: 16) == Int(expected))
            }
        }
    }

    @Test("Any growing and shrinking of many objects keeps all contents", .repeatable) func random() throws {
        try withDevice(size: "1M", runsOut: true, limit: 100) { device in
            try withSeed { generator in
                var sizes: [String: (pages: Int, seed: Int)] = [:]
                var didFail = 0
                for round in 1...150 {
                    let name = "o\(Int.random(in: 0..<8, using: &generator))"
                    let old = ["tagged", "untagged"].first { sizes["\($0)/\(name)"] != nil }
                    if let old, Bool.random(using: &generator) {
                        let new = old == "tagged" ? "untagged" : "tagged"
                        do throws(Errno) {
                            try device.move("\(old)/\(name)", to: "\(new)/\(name)")
                            sizes["\(new)/\(name)"] = sizes.removeValue(forKey: "\(old)/\(name)")
                        } catch {
                            #expect(error == Errno(ENOSPC) && new == "tagged")
                            didFail += 1
                        }
                        continue
                    }
                    let directory = old ?? (Bool.random(using: &generator) ? "tagged" : "untagged")
                    let path = "\(directory)/\(name)"
                    if old == nil { try device.make(path) }
                    let now = sizes[path] ?? (0, round)
                    let pages = Int.random(in: 0..<70, using: &generator)
                    let fits = try device.available(directory) >= pages - now.pages
                    sizes[path] = now
                    do throws(Errno) {
                        try device.open("\(path)/mem").truncate(pages * 4096)
                        #expect(fits, "a size that df denies")
                        sizes[path] = (pages, round)
                        try device.open("\(path)/mem").writeAll(pattern(round, pages: pages))
                    } catch {
                        #expect(error == Errno(ENOSPC) && !fits, "\(error)")
                        didFail += 1
                    }
                    for (path, expected) in sizes {
                        let file = try device.open("\(path)/mem")
                        #expect(try file.size == expected.pages * 4096)
                        #expect(
                            try file.firstPageUnlike(expected.seed, pages: expected.pages) == nil, "\(path)")
                    }
                }
                // So that the daemon has said that memory ran out.
                let pages = try device.available("untagged") + 1
                #expect(throws: Errno(ENOSPC)) { try device.make("untagged/large", pages: pages) }
                #expect(didFail < 100)
            }
        }
    }
}
