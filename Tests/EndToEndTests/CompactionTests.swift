import Glibc
import Testing

@Suite("Compaction", .timeLimit(.minutes(2)))
struct CompactionTests {
    /// Fills all blocks with one-page tagged objects and removes most: `count` are left, each in a block of its own.
    private func fragment(_ device: Device, keeping count: Int) throws -> [String] {
        try device.setKnob("compaction", "0")
        let most = device.blocks * Device.blockData
        for index in 0..<most { try device.make("tagged/o\(index)", pages: 1, seed: index) }
        try #require(try device.available("tagged") == 0)
        // One of each block, wherever its pages are.
        var kept: [Int: String] = [:]
        for index in 0..<most {
            let address = try #require(try device.addresses(of: "tagged/o\(index)").first ?? nil)
            let block = device.block(of: address)
            if kept.count < count, kept[block] == nil {
                kept[block] = "tagged/o\(index)"
            } else {
                try device.remove("tagged/o\(index)")
            }
        }
        try #require(kept.count == count)
        #expect(try device.amount("TagStorageReserved") == count)
        #expect(try device.amount("TagStorageReservedBest") == 1)
        return Array(kept.values)
    }

    private func expectContents(_ device: Device, _ objects: [String]) throws {
        for name in objects {
            let seed = try #require(Int(name.drop { !$0.isNumber }))
            #expect(try device.open("\(name)/mem").firstPageUnlike(seed, pages: 1) == nil, "\(name)")
        }
    }

    @Test("At rest as few Tag Pages are reserved as can be") func background() throws {
        try withDevice { device in
            let objects = try fragment(device, keeping: 16)
            #expect(try device.knob("compact") == "0\n" && device.knob("compaction") == "0\n")
            // It does nothing while it may not.
            #expect(try !eventually(within: 0.2) { try device.amount("TagStorageReserved") < 16 })
            try device.setKnob("compaction", "1")
            try device.expectCompact()
            #expect(try device.amount("TagStorageReserved") == 1)
            #expect(try device.counter("compact_daemon_wake") > 0)
            #expect(try device.counter("pgmigrate_success") >= 15)
            try expectContents(device, objects)
            #expect(try device.knob("compact") == "1\n" && device.knob("compaction") == "1\n")
            // What was given back can be had.
            #expect(try device.available("untagged") == device.pages - 17)
            let file = try device.make("untagged/u", pages: device.pages - 17)
            #expect(try device.amount("Free") == 0)
            try file.truncate(0)
            for name in objects { try device.remove(name) }
            try device.expectAllFree()
        }
    }

    @Test("It goes on, in the end, while somebody asks for something all the time") func underRequests()
        throws
    {
        try withDevice { device in
            let objects = try fragment(device, keeping: 16)
            let load = try Program("sh", ["-c", "while :; do cat '\(device.path("vmstat"))'; done"])
            try device.setKnob("compaction", "1")
            try device.expectCompact()
            load.kill()
            try expectContents(device, objects)
        }
    }

    @Test("A write to control/compact returns when it is done") func onDemand() throws {
        try withDevice { device in
            let objects = try fragment(device, keeping: 16)
            let script = try Script()
            for (slot, name) in objects.prefix(14).enumerated() {
                try script.map(slot, device.path("\(name)/mem"), at: 0)
                #expect(try script("store \(slot) 4095 1 0x5a") == "ok")
            }
            try device.setKnob("compact", "1")
            #expect(try device.amount("TagStorageReserved") == 1)
            for (slot, name) in objects.prefix(14).enumerated() {
                #expect(try script("load \(slot) 4095") == "0x5a")
                #expect(try device.open("\(name)/mem").read(at: 4095, count: 2) == [0x5a])
            }
            try expectContents(device, Array(objects.dropFirst(14)))
            try device.setKnob("compact", "1")
            for word in ["0", "2", "", "yes"] {
                #expect(throws: Errno(EINVAL), "\(word)") { try device.setKnob("compact", word) }
            }
        }
    }

    @Test("Pinned pages stay where they are; the others move around them") func pins() throws {
        try withDevice { device in
            let objects = try fragment(device, keeping: 16)
            let pinned = Array(objects[..<5])
            for name in pinned { try device.setKnob("pin", "\(name) 0 4096") }
            let before = try pinned.map { try device.addresses(of: $0) }
            #expect(try device.amount("Pinned") == 5)
            try device.setKnob("compact", "1")
            #expect(try pinned.map { try device.addresses(of: $0) } == before)
            #expect(try device.amount("TagStorageReserved") == 5)
            #expect(try device.amount("TagStorageReservedBest") == 1)
            #expect(try device.knob("compact") == "1\n")
            try expectContents(device, objects)
            try device.setKnob("compaction", "1")
            for name in pinned { try device.setKnob("unpin", "\(name) 0 4096") }
            try device.expectCompact()
            #expect(try device.amount("Pinned") == 0)
            try expectContents(device, objects)
        }
    }
}
