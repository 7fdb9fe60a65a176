import Glibc
import Testing

@Suite("Objects that grow and shrink under mappings", .timeLimit(.minutes(2)))
struct ObjectGrowthTests {
    @Test("A write that grows its object is counted once") func countedOnce() throws {
        try withDevice { device in
            try device.make("untagged/u")
            let file = try device.open("untagged/u/mem")
            let before = try device.counter("direct_writes")
            for index in 0..<10 { try file.write([1], at: UInt64(index) * 4096) }
            #expect(try device.counter("direct_writes") == before + 10)
        }
    }

    @Test("Mappings of every file reach what the object has grown by", arguments: [1, 4096, 5744, 8192])
    func growth(size: Int) throws {
        try withDevice { device in
            let file = try device.make("tagged/a", pages: 0)
            try file.truncate(size)
            let script = try Script()
            try script.map(0, device.path("tagged/a/views/0"), at: 0, length: 64 * 4096)
            try script.map(1, device.path("tagged/a/mem"), at: 0, length: 64 * 4096)
            try script.map(2, device.path("tagged/a/tags"), at: 0, length: 2 * 4096)
            try script.map(3, device.path("tagged/a/tags.hex"), at: 0, length: 4 * 4096)
            for slot in 0..<4 { #expect(try script("load \(slot) 0").hasPrefix("0x"), "\(slot)") }
            let end = (size + 4095) / 4096 * 4096
            #expect(try script("load 0 \(end)").hasPrefix("SIGBUS"))
            #expect(try script("load 1 \(end)").hasPrefix("SIGBUS"))
            try file.truncate(40 * 4096)
            // Without anybody asking for the size: what is stored arrives, also in the page of the former end.
            for slot in [0, 1] {
                #expect(try script("fill \(slot) 0 40 \(slot + 1)") == "ok")
                #expect(try file.firstPageUnlike(slot + 1, pages: 40) == nil)
                #expect(try script("load \(slot) \(40 * 4096)").hasPrefix("SIGBUS"))
            }
            #expect(try script("verify 0 0 40 2") == "ok")
            #expect(try script("store 2 \(39 * 128) 128 0x44") == "ok")
            #expect(try script("msync 2") == "ok")
            #expect(try script("load 3 \(39 * 256)") == "0x34")
            #expect(try script("store 3 \(38 * 256) 256 0x35") == "ok")
            #expect(try script("msync 3") == "ok")
            let tags = try device.open("tagged/a/tags").read(at: 37 * 128, count: 3 * 128)
            let expected: [UInt8] = [0, 0x55, 0x44]
            #expect(tags == expected.flatMap { [UInt8](repeating: $0, count: 128) })
            #expect(try status(of: device.path("tagged/a/views/0")).st_size == 40 * 4096)
        }
    }

    @Test(
        "Behind an end that has moved there is nothing, whatever size the kernel knows",
        arguments: [[], ["page_cache"]])
    func behindTheNewEnd(mountOptions: [String]) throws {
        try withDevice(mountOptions: mountOptions) { device in
            let mem = try device.make("tagged/a", pages: 0)
            let files = [("views/0", 1), ("tags", 32), ("tags.hex", 16)].map {
                (name: $0.0, bytes: $0.1, path: device.path("tagged/a/\($0.0)"))
            }
            let script = try Script()
            let isMapped = mountOptions.isEmpty ? files.indices : files.indices.prefix(1)
            let open = try files.map { try File($0.path, O_RDWR) }
            for slot in isMapped { try script.map(slot, files[slot].path, at: 0, length: 64 * 4096) }
            // Into the midst of a page of each file, to a page's end, to a byte behind it, and within the same page.
            for size in [100, 2000, 4096, 4097, 70_000, 16 * 4096, 16 * 4096 + 1, 32 * 4096, 40 * 4096] {
                for (slot, file) in files.enumerated() {
                    let end = file.name == "tags.hex" ? (size + 31) / 32 * 2 : (size - 1) / file.bytes + 1
                    let next = (end + 4095) / 4096 * 4096
                    // Whoever asks for the size ends it: each use is the first one after a growth.
                    func grow() throws {
                        try mem.truncate(size - 1)
                        _ = try open[slot].seek(0, .end)
                        try mem.truncate(size)
                    }
                    if isMapped.contains(slot) {
                        try grow()
                        let fault = "SIGBUS BUS_ADRERR 0x\(String(next, radix: 16))"
                        #expect(try script("load \(slot) \(next)") == fault, "\(file.name) \(size)")
                        try grow()
                        #expect(try script("store \(slot) \(next) 1 1") == fault, "\(file.name) \(size)")
                    }
                    for offset in [end, next] {
                        try grow()
                        #expect(
                            try open[slot].read(at: UInt64(offset), count: 5000).isEmpty,
                            "\(file.name) \(size)")
                        try grow()
                        #expect(throws: Errno(ENXIO), "\(file.name) \(size)") {
                            try open[slot].write("0", at: UInt64(offset))
                        }
                    }
                    try grow()
                    let last = try open[slot].read(at: UInt64(end - 1), count: 5000)
                    #expect(last == [file.name == "tags.hex" ? 0x30 : 0], "\(file.name) \(size)")
                    try grow()
                    #expect(try open[slot].seek(0, .end) == UInt64(end), "\(file.name) \(size)")
                    try grow()
                    #expect(try open[slot].seek(0, .hole) == UInt64(end), "\(file.name) \(size)")
                    try grow()
                    #expect(try open[slot].size == end, "\(file.name) \(size)")
                }
            }
            #expect(try device.faults().isEmpty)
        }
    }

    @Test("Pages behind the end are not seen, and not kept for when it grows") func behindTheEnd() throws {
        try withDevice { device in
            let file = try device.make("tagged/a", pages: 32, seed: 1)
            let script = try Script()
            try script.map(0, device.path("tagged/a/views/0"), at: 0, length: 32 * 4096)
            try script.map(1, device.path("tagged/a/mem"), at: 0, length: 32 * 4096)
            #expect(try script("verify 0 0 32 1") == "ok")
            for seed in 2..<12 {
                try file.truncate(4 * 4096)
                for page in [4, 5, 20, 31] {
                    for slot in [0, 1] {
                        #expect(try script("load \(slot) \(page * 4096)").hasPrefix("SIGBUS"), "\(page)")
                        #expect(try script("store \(slot) \(page * 4096) 1 1").hasPrefix("SIGBUS"), "\(page)")
                    }
                }
                try file.truncate(32 * 4096)
                #expect(try script("load 0 \(20 * 4096)") == "0x00")
                try file.writeAll(pattern(seed, pages: 32))
                #expect(try script("verify 0 0 32 \(seed)") == "ok")
                #expect(try script("verify 1 0 32 \(seed)") == "ok")
            }
        }
    }

    @Test("Pages that are given away are zero for the next object, whoever has them mapped") func reuse()
        throws
    {
        try withDevice { device in
            let script = try Script()
            try device.make("tagged/a", pages: 512, seed: 1)
            try device.open("tagged/a/tags").write([UInt8](repeating: 0x77, count: 512 * 128), at: 0)
            try script.map(0, device.path("tagged/a/views/7"), at: 0, length: 512 * 4096)
            #expect(try script("fill 0 0 512 2") == "ok")
            // Also raw, by their physical addresses.
            try script.map(1, device.path("phys/mem"), at: device.map.base, length: 512 * 4096)
            try script.map(2, device.path("phys/views/7"), at: device.map.base, length: 512 * 4096)
            #expect(try script("load 1 0") != "0x100")
            try device.open("tagged/a/mem").truncate(0)
            let file = try device.make("untagged/b", pages: 528)
            #expect(try file.readAll(528 * 4096).allSatisfy { $0 == 0 })
            try script.map(3, device.path("untagged/b/mem"), at: 0, length: 528 * 4096)
            for page in stride(from: 0, to: 528, by: 7) {
                #expect(try script("load 3 \(page * 4096 + 8)") == "0x00", "\(page)")
            }
            #expect(try script("fill 3 0 528 3") == "ok")
            #expect(try file.firstPageUnlike(3, pages: 528) == nil)
            try file.truncate(0)
            let tagged = try device.open("tagged/a/mem")
            try tagged.truncate(512 * 4096)
            #expect(try tagged.readAll(512 * 4096).allSatisfy { $0 == 0 })
            let tags = try device.open("tagged/a/tags").readAll(512 * 128)
            #expect(tags == [UInt8](repeating: 0, count: 512 * 128))
            #expect(try script("load 0 4096").hasPrefix("SIGBUS"))
        }
    }
}
