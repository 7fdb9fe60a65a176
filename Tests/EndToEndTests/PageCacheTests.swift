import Glibc
import Testing

@Suite("-o page_cache: as on a kernel that cannot map files that are read directly", .timeLimit(.minutes(2)))
struct PageCacheTests {
    private func withPageCache(_ body: (Device) throws -> Void) throws {
        try withDevice(mountOptions: ["page_cache"], body)
    }

    @Test("Views and mem read and write the same bytes") func coherence() throws {
        try withPageCache { device in
            let base = device.map.base
            let mem = try device.open("phys/mem")
            let view = try device.openView(0)
            for round in 0..<200 {
                let value = UInt8(truncatingIfNeeded: round + 1)
                let offset = base + UInt64(round * 37 % 8000)
                try (round % 2 == 0 ? mem : view).write([value, value], at: offset)
                #expect(try (round % 2 == 0 ? view : mem).read(at: offset, count: 2) == [value, value])
                #expect(try device.open("phys/checked").read(at: offset, count: 1) == [value])
            }
        }
    }

    @Test("A view is exact to the page") func pageExact() throws {
        try withPageCache { device in
            let base = device.map.base
            try device.store([1, 2, 3], at: base)
            try device.setTag(5, at: base)
            try device.setTag(7, at: base + 4096 + 64, granules: 1)
            #expect(try device.openView(5).read(at: base, count: 3) == [1, 2, 3])
            #expect(throws: Errno.self) { try device.openView(0).read(at: base, count: 1) }
            #expect(throws: Errno.self) { try device.openView(0).write([9], at: base) }
            // Of mixed tags, so the whole page is refused.
            #expect(throws: Errno.self) { try device.openView(0).read(at: base + 4096, count: 1) }
            #expect(throws: Errno.self) { try device.openView(7).read(at: base + 4096 + 64, count: 1) }
            #expect(try device.openView(0).read(at: base + 8192, count: 100).count == 100)
            #expect(try device.memory(at: base, count: 3) == [1, 2, 3])
            // checked is exact to the byte here too.
            let checked = try device.open("phys/checked")
            #expect(try checked.read(at: 7 << 56 | base + 4096 + 64, count: 32).count == 16)
            #expect(try checked.read(at: base + 4096, count: 100).count == 64)
        }
    }

    @Test("Mappings fault and are revoked") func mappings() throws {
        try withPageCache { device in
            let base = device.map.base
            let script = try Script()
            try script.map(0, device.view(0), at: base)
            try script.map(1, device.path("phys/mem"), at: base)
            #expect(try script("store 0 100 4 0x21") == "ok")
            #expect(try script("load 1 103") == "0x21")
            #expect(try script("store 1 100 1 0x22") == "ok")
            #expect(try script("load 0 100") == "0x22")
            #expect(try device.memory(at: base + 100, count: 2) == [0x22, 0x21])
            try device.setTag(1, at: base)
            #expect(try script("load 0 100") == "SIGBUS BUS_ADRERR 0x\(String(base + 100, radix: 16))")
            try script.map(2, device.view(1), at: base)
            #expect(try script("load 2 101") == "0x21")
            #expect(try device.openView(1).read(at: base + 100, count: 2) == [0x22, 0x21])
        }
    }

    @Test("Before a write to a page that the kernel has, the kernel is asked for its bytes") func retrieval()
        throws
    {
        try withMountpoint { path in
            let daemon = try Program(
                daemonProgram, ["-d", "--size", "2M", "-o", "page_cache", path])
            try #require(
                eventually(within: 10) { isMounted(path) && (try? status(of: "\(path)/vmstat")) != nil })
            let script = try Script()
            try script.map(0, "\(path)/phys/mem", at: 0x4000_0000)
            #expect(try script("store 0 0 1 0x11") == "ok")
            let mem = try File("\(path)/phys/mem", O_RDWR)
            for value in 16...65 as ClosedRange<UInt8> {
                try mem.write([value, value], at: 0x4000_0000 + UInt64(value))
                #expect(try script("load 0 \(value)") == "0x\(String(value, radix: 16))")
            }
            #expect(
                try File("\(path)/phys/checked", O_RDONLY).read(at: 0x4000_0000, count: 18) == [0x11]
                    + [UInt8](repeating: 0, count: 15) + [16, 17])
            script.program.kill()
            #expect(script.program.wait(seconds: 5) != nil)
            try mem.close()
            #expect(try run("fusermount3", ["-u", path]).succeeded)
            #expect(daemon.wait(seconds: 10) == .exited(0))
            // A whole page came, with two headers of 40 bytes before it.
            let replies = daemon.errors.split(separator: "\n").filter { $0.contains("NOTIFY_REPLY") }
            #expect(replies.count == 50)
            #expect(replies.allSatisfy { $0.contains("insize: 4176,") }, "\(replies.first ?? "")")
        }
    }

    @Test("The files of tags cannot be mapped", arguments: ["tags", "tags.hex"]) func tags(name: String)
        throws
    {
        try withPageCache { device in
            let script = try Script()
            try #require(try script("open 0 \(device.path("phys/\(name)")) rw") == "ok")
            #expect(try script("map 0 0 0x4000000 4096 rw shared") == "ENODEV")
            try device.setTag(0xe, at: device.map.base, granules: 2)
            #expect(try device.open("phys/tags").read(at: device.map.base / 32, count: 2) == [0xee, 0])
            try device.open("phys/tags").write([0x21], at: device.map.base / 32)
            #expect(
                try device.open("phys/tags.hex").read(at: device.map.base / 16, count: 3) == Array("120".utf8)
            )
        }
    }

    @Test("Many write through all aliases, page by page") func manyWriters() throws {
        try withPageCache { device in
            let base = device.map.base
            let writers = try (0..<4).map { number in
                try Program(
                    "sh",
                    [
                        "-c",
                        """
                        for i in $(seq 200); do printf '\\\(number + 1)' | dd of="$F" bs=1 conv=notrunc status=none \
                        seek=$((\(base) + \(number) + i % 3 * 4096)) || exit 1; done
                        """,
                    ], environment: ["F": number % 2 == 0 ? device.path("phys/mem") : device.view(0)])
            }
            for writer in writers { #expect(writer.finish(within: 40).succeeded, "\(writer.errors)") }
            for page in 0..<3 {
                let bytes = try device.memory(at: base + UInt64(page) * 4096, count: 5)
                #expect(bytes == [1, 2, 3, 4, 0])
            }
        }
    }
}
