import Glibc
import TestSupport
import Testing

@Suite("What there is to see of memory", .timeLimit(.minutes(2)))
struct StatisticsTests {
    /// Brings the device into one state after the other, and calls `body` in each.
    private func inManyStates(_ device: Device, _ body: (String) throws -> Void) throws {
        try body("empty")
        let untagged = try device.make("untagged/u", pages: 200)
        try body("untagged")
        let tagged = try device.make("tagged/t", pages: 100)
        try body("mixed")
        try device.setKnob("reserve_tagged", "7")
        try device.setKnob("pin", "untagged/u 0 40960")
        try body("reserve and pins")
        try untagged.truncate(50 * 4096)
        try body("shrunk")
        try device.setKnob("unpin", "untagged/u 0 40960")
        try device.move("untagged/u", to: "tagged/u")
        try device.setKnob("pin", "tagged/u 0 8192")
        try body("turned")
        try tagged.truncate(3 * 4096)
        try body("sparse")
        try device.setKnob("compact", "1")
        try body("compact")
        try device.setKnob("unpin", "tagged/u 0 8192")
        for directory in ["tagged", "untagged"] {
            try device.make("\(directory)/rest", pages: try device.available(directory))
            try body("full of \(directory)")
            try device.remove("\(directory)/rest")
            #expect(try eventually { try device.amount("Free") > 0 })
        }
    }

    private struct Block {
        let index: Int, address: UInt64, state: String
        let tagged: Int, untagged: Int, free: Int, pinned: Int
        let tagAddress: UInt64, tagUse: String, tagPages: Int
    }

    private func blocks(_ device: Device) throws -> [Block] {
        try contents(of: device.path("blocks")).split(separator: "\n").map { line in
            let words = line.split(separator: " ").map(String.init)
            try #require(words.count == 10, "\(line)")
            func number(_ index: Int) throws -> Int { try #require(Int(words[index])) }
            func address(_ index: Int) throws -> UInt64 {
                try #require(UInt64(words[index].dropFirst(2), radix: 16))
            }
            return Block(
                index: try number(0), address: try address(1), state: words[2], tagged: try number(3),
                untagged: try number(4), free: try number(5), pinned: try number(6),
                tagAddress: try address(7), tagUse: words[8], tagPages: try number(9))
        }
    }

    @Test("meminfo, blocks and df add up, in every state") func sums() throws {
        try withDevice { device in
            try device.setKnob("compaction", "0")
            try inManyStates(device) { state in
                let amounts = try device.amounts()
                func amount(_ name: String) throws -> Int { try #require(amounts[name], "\(name)") }
                let used = try amount("Tagged") + amount("Untagged")
                #expect(try used + amount("Free") + amount("TagStorageReserved") == device.pages, "\(state)")
                #expect(try amount("MemTotal") == device.pages, "\(state)")
                let best = (try amount("Tagged") + 31) / 32
                #expect(try amount("TagStorageReservedBest") == best, "\(state)")
                #expect(try amount("TagStorageReserved") >= best, "\(state)")
                #expect(try amount("TagStorageGivenBack") == 16 - amount("TagStorageReserved"), "\(state)")
                #expect(try amount("TagStorageGivenBackBest") == 16 - best, "\(state)")
                #expect(try amount("TagStorageReused") <= amount("TagStorageGivenBack"), "\(state)")
                #expect(try amount("UntaggedAvailable") == device.pages - used - best, "\(state)")
                #expect(try device.available("untagged") == amount("UntaggedAvailable"), "\(state)")
                #expect(try device.available("") == amount("UntaggedAvailable"), "\(state)")
                #expect(try device.available("tagged") == amount("TaggedAvailable"), "\(state)")
                let blocks = try blocks(device)
                #expect(blocks.count == 16, "\(state)")
                for block in blocks {
                    #expect(block.tagged + block.untagged + block.free == 32, "\(state) \(block)")
                    #expect(block.address == device.map.base + UInt64(block.index) * 131_072)
                    #expect(block.tagAddress == device.map.tagBase + UInt64(block.index) * 4096)
                    switch block.state {
                    case "free": #expect(block.free == 32 && block.tagUse == "free", "\(state) \(block)")
                    case "untagged":
                        #expect(block.tagged == 0 && block.tagUse != "reserved", "\(state) \(block)")
                    case "tagged":
                        #expect(block.tagged > 0 && block.tagUse == "reserved", "\(state) \(block)")
                    default: Issue.record("\(state) \(block)")
                    }
                }
                func sum(_ body: (Block) -> Int) -> Int { blocks.reduce(0) { $0 + body($1) } }
                let reused = sum { $0.tagUse == "data" ? $0.tagPages : 0 }
                let reserved = sum { $0.tagUse == "reserved" ? $0.tagPages : 0 }
                #expect(try sum(\.tagged) == amount("Tagged"), "\(state)")
                #expect(try sum(\.untagged) + reused == amount("Untagged"), "\(state)")
                #expect(try reused == amount("TagStorageReused"), "\(state)")
                #expect(try reserved == amount("TagStorageReserved"), "\(state)")
                #expect(try sum(\.pinned) == amount("Pinned"), "\(state)")
            }
        }
    }

    @Test("df counts what can really be had, to the last page", arguments: [0, 1, 31, 32, 33, 200, 495])
    func availability(tagged: Int) throws {
        try withDevice(runsOut: true) { device in
            for directory in ["untagged", "tagged"] {
                try device.make("tagged/t", pages: tagged)
                try device.make("untagged/u", pages: min(17, try device.available("untagged")))
                let available = try device.available(directory)
                try device.make("\(directory)/rest")
                let rest = try device.open("\(directory)/rest/mem")
                #expect(throws: Errno(ENOSPC)) { try rest.truncate((available + 1) * 4096) }
                // In steps that are not those of blocks; the number goes down to 0.
                var size = 0
                while size < available {
                    size = min(available, size + 37)
                    try rest.truncate(size * 4096)
                    #expect(try device.available(directory) == available - size)
                }
                #expect(throws: Errno(ENOSPC)) { try rest.truncate((available + 1) * 4096) }
                let disk = try run("df", ["-P", "-k", device.path(directory)])
                #expect(disk.output.contains(" 0 ") || available == 0, "\(disk.output)")
                for name in ["tagged/t", "untagged/u", "\(directory)/rest"] { try device.remove(name) }
                try rest.close()
                try device.expectAllFree()
            }
        }
    }

    @Test("Lines of blocks and pages are as long as each other, and can be read from anywhere")
    func randomAccess() throws {
        try withDevice(size: "16M") { device in
            // So that nothing moves between two reads.
            try device.setKnob("compaction", "0")
            try device.make("tagged/t", pages: 1000)
            let script = try Script()
            try script.punch(device.path("tagged/t/mem"), at: 5 * 4096, count: 90 * 4096)
            for (name, count) in [("blocks", 128), ("tagged/t/pages", 1000)] {
                let file = try device.open(name, O_RDONLY)
                let all = try file.readAll(1 << 20)
                let lines = all.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                    .dropLast()
                #expect(lines.count == count && Set(lines.map(\.count)).count == 1, "\(name)")
                #expect(
                    lines.enumerated().allSatisfy { index, line in
                        String(decoding: line, as: UTF8.self).split(separator: " ").first == "\(index)"
                    }, "\(name)")
                for (offset, length) in [(0, 1), (1, 10), (777, 3000), (all.count - 3, 100), (4095, 4097)] {
                    let found = try file.read(at: UInt64(offset), count: length)
                    #expect(found == Array(all[offset...].prefix(length)), "\(name) \(offset)")
                }
                for offset in [all.count, all.count + 1, 1 << 30, 1 << 60] {
                    #expect(try file.read(at: UInt64(offset), count: 1 << 16).isEmpty, "\(name) \(offset)")
                }
                let small = try device.open(name, O_RDONLY)
                #expect(try small.rest(7) == all, "\(name)")
            }
            #expect(
                try Int(status(of: device.path("blocks")).st_size)
                    == device.open("blocks", O_RDONLY).rest().count)
        }
    }

    @Test("blocks of a large device is read without keeping it") func largeDevice() throws {
        try withDevice(size: "64G") { device in
            let blocks = 64 << 13
            let file = try device.open("blocks", O_RDONLY)
            let size = try file.size
            #expect(size % blocks == 0)
            let length = size / blocks
            let last = try file.read(at: UInt64(size - length), count: 1000)
            #expect(String(decoding: last, as: UTF8.self).split(separator: " ").first == "\(blocks - 1)")
            let before = try device.residentMemory()
            let outcome = try shell("wc -lc < \"$F\"", environment: ["F": device.path("blocks")])
            let words = outcome.output.split(separator: " ").map { $0.filter(\.isNumber) }
            #expect(words == ["\(blocks)", "\(size)"])
            #expect(try device.residentMemory() - before < 16 << 10)
            let picture = try device.open("map.svg", O_RDONLY).rest()
            #expect(xmlComplaint(picture) == nil && picture.count < 1 << 20)
        }
    }

    @Test("metrics is OpenMetrics, and has what meminfo and vmstat have") func openMetrics() throws {
        try withDevice { device in
            try device.make("tagged/t", pages: 33)
            try device.make("untagged/u", pages: 5)
            let text = try contents(of: device.path("metrics"))
            #expect(text.hasSuffix("\n# EOF\n") && text.components("# EOF") == 1)
            var types: [String: String] = [:]
            var values: [String: Int] = [:]
            var current = ""
            for line in text.split(separator: "\n").dropLast() {
                let words = line.split(separator: " ", maxSplits: 3).map(String.init)
                if words[0] == "#" {
                    try #require(words.count == 4 && ["TYPE", "UNIT", "HELP"].contains(words[1]), "\(line)")
                    if words[1] == "TYPE" {
                        #expect(types[words[2]] == nil, "\(line)")
                        types[words[2]] = words[3]
                        current = words[2]
                    }
                    #expect(words[2] == current, "\(line)")
                    if words[1] == "UNIT" { #expect(words[2].hasSuffix("_\(words[3])"), "\(line)") }
                    continue
                }
                try #require(words.count == 2, "\(line)")
                let name = String(words[0].prefix { $0 != "{" })
                #expect(name.wholeMatch(of: /[a-z_:][a-z0-9_:]*/) != nil, "\(line)")
                let suffix = types[current] == "counter" ? "_total" : ""
                #expect(name == current + suffix, "\(line)")
                #expect(values.updateValue(try #require(Int(words[1])), forKey: words[0]) == nil, "\(line)")
            }
            #expect(Set(types.values) == ["gauge", "counter"])
            #expect(values["tagmemd_tagged_bytes"] == 33 * 4096)
            #expect(values["tagmemd_untagged_bytes"] == 5 * 4096)
            #expect(values["tagmemd_tag_storage_reserved_bytes"] == 2 * 4096)
            #expect(values["tagmemd_objects{use=\"tagged\"}"] == 1)
            #expect(values["tagmemd_pgalloc_total"] == 38)
            for name in try device.counters().keys {
                #expect(values["tagmemd_\(name)_total"] != nil, "\(name)")
            }
            #expect(values.count == (try device.amounts().count) + (try device.counters().count) + 2)
        }
    }

    @Test("map.svg is well-formed and changes with what it shows") func picture() throws {
        try withDevice { device in
            var pictures: Set<[UInt8]> = []
            try inManyStates(device) { state in
                let picture = try device.open("map.svg", O_RDONLY).rest()
                #expect(xmlComplaint(picture) == nil, "\(state)")
                pictures.insert(picture)
            }
            // The reserve of one state makes a difference of its own; pins do not show.
            #expect(pictures.count >= 8)
            let text = String(decoding: try device.open("map.svg", O_RDONLY).rest(), as: UTF8.self)
            #expect(text.contains("16 Tag Blocks") && text.contains("block 15, from"))
        }
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func components(_ text: String) -> Int { ranges(of: text).count }
}
