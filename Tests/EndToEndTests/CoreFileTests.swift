import Glibc
import Testing

/// `core` of an object, as programs see it.
@Suite("Core files: what a debugger shows of an object", .timeLimit(.minutes(2)))
struct CoreFileTests {
    private static let dataOffset = 4096

    /// What gdb says to commands about a core file. Each command has an answer of one line, but for the first lines, which
    /// are about the thread.
    private func debug(_ path: String, _ commands: [String]) throws -> [String] {
        let arguments = ["-batch", "-nx", "-ex", "set debuginfod enabled off", "-ex", "core-file \(path)"]
        let outcome = try run("gdb-multiarch", arguments + commands.flatMap { ["-ex", $0] }, timeout: 60)
        #expect(outcome.succeeded && outcome.errors == "", "\(outcome)")
        return outcome.output.split(separator: "\n").map(String.init).filter {
            !$0.hasPrefix("[New LWP") && !$0.hasPrefix("#0 ")
        }
    }

    /// The tags that gdb shows at addresses, as `tags.hex` has them.
    private func tags(_ path: String, at addresses: [Int]) throws -> String {
        try debug(path, addresses.map { "memory-tag print-allocation-tag \($0)" }).map { line in
            let value = try #require(line.split(separator: "x").last)
            return String(value)
        }.joined()
    }

    private func digits(_ device: Device, _ object: String, at addresses: [Int]) throws -> String {
        let file = try device.open("\(object)/tags.hex", O_RDONLY)
        return try addresses.map { address in
            String(decoding: try file.read(at: UInt64(address / 16), count: 1), as: UTF8.self)
        }.joined()
    }

    @Test("gdb shows the tags of tags.hex and the bytes of mem, also of what was written meanwhile")
    func debugger() throws {
        try withDevice { device in
            try device.make("tagged/heap")
            let made = try shell(
                """
                set -e
                cd "$M"/tagged/heap
                truncate -s 40K mem
                printf 'Hello, core file' | dd of=mem bs=1 seek=4096 conv=notrunc status=none
                printf 0123456789abcdef | dd of=tags.hex bs=1 seek=$((4096 / 16)) conv=notrunc status=none
                printf e7 | dd of=tags.hex bs=1 seek=$((40960 / 16 - 2)) conv=notrunc status=none
                """, environment: ["M": device.mountpoint])
            #expect(made.succeeded, "\(made)")
            let core = device.path("tagged/heap/core")
            let addresses =
                Array(stride(from: 4096 - 16, through: 4096 + 256, by: 16)) + [40928, 40944, 40958]
            let shown = try tags(core, at: addresses)
            #expect(shown == "00123456789abcdef0e77")
            #expect(try shown == digits(device, "tagged/heap", at: addresses))
            let bytes = try debug(core, ["x/16xb 0x1000", "x/s 0x0300000000001007", "x/2xb 0x9ffe"])
            #expect(
                bytes == [
                    "0x1000:\t0x48\t0x65\t0x6c\t0x6c\t0x6f\t0x2c\t0x20\t0x63",
                    "0x1008:\t0x6f\t0x72\t0x65\t0x20\t0x66\t0x69\t0x6c\t0x65",
                    "0x300000000001007:\t\"core file\"", "0x9ffe:\t0x00\t0x00",
                ])
            // A debugger that has the file open sees what becomes of the object.
            let later = try debug(
                core,
                [
                    "memory-tag print-allocation-tag 0x1000",
                    "shell printf 9 | dd of=\(device.path("tagged/heap/tags.hex")) bs=1 seek=256 conv=notrunc "
                        + "status=none", "x/xb 0x1000", "memory-tag print-allocation-tag 0x1000",
                    "memory-tag check 0x0900000000001000", "memory-tag check 0x0a00000000001000",
                ])
            #expect(
                later == [
                    "$1 = 0x0", "0x1000:\t0x48", "$2 = 0x9",
                    "Memory tags for address 0x900000000001000 match (0x9).",
                    "Logical tag (0xa) does not match the allocation tag (0x9) for address 0xa00000000001000.",
                ])
        }
    }

    @Test("readelf finds two segments of the object's and notes that it knows") func headers() throws {
        try withDevice { device in
            try device.make("tagged/a", pages: 3)
            let outcome = try run("readelf", ["-hlnSW", device.path("tagged/a/core")])
            #expect(outcome.succeeded && outcome.errors == "")
            let lines = outcome.output.split(separator: "\n").map {
                $0.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            }
            for line in [
                "Class: ELF64", "Data: 2's complement, little endian", "Type: CORE (Core file)",
                "Machine: AArch64", "There are no sections in this file.",
                "LOAD 0x001000 0x0000000000000000 0x0000000000000000 0x003000 0x003000 RW 0x1000",
                "AARCH64_MEMTAG 0x004000 0x0000000000000000 0x0000000000000000 0x000180 0x003000 0",
                "CORE 0x00000188 NT_PRSTATUS (prstatus structure)",
                "CORE 0x00000030 NT_AUXV (auxiliary vector)",
            ] {
                #expect(lines.contains { $0.hasPrefix(line) }, "\(line)")
            }
        }
    }

    @Test("is read at any offset, in pieces of any size", arguments: [[], ["page_cache"]])
    func pieces(_ options: [String]) throws {
        try withDevice(mountOptions: options) { device in
            let memory = try device.make("tagged/a", pages: 5, seed: 7)
            try memory.truncate(5 * 4096 - 77)
            let digits = (0..<5 * 256).map { Array("0123456789abcdef".utf8)[$0 * 7 % 16] }
            try device.open("tagged/a/tags.hex").write(digits, at: 0)
            let core = try device.open("tagged/a/core", O_RDONLY)
            let size = try core.size
            let whole = try core.read(at: 0, count: 1 << 20)
            let tags = try device.open("tagged/a/tags", O_RDONLY).readAll(1 << 20)
            #expect(tags.count == 5 * 128 - 2)
            #expect(whole.count == size && size == Self.dataOffset + 5 * 4096 - 77 + tags.count)
            #expect(try Array(whole[Self.dataOffset...]) == memory.readAll(1 << 20) + tags)
            for piece in [1000, 4095, 4096, 9999] {
                var bytes: [UInt8] = []
                while case let part = try core.read(at: UInt64(bytes.count), count: piece), !part.isEmpty {
                    #expect(part.count == min(piece, size - bytes.count))
                    bytes += part
                }
                #expect(bytes == whole, "in pieces of \(piece)")
            }
            #expect(try core.seek(0, .end) == size)
            #expect(try core.read(at: UInt64(size), count: 1).isEmpty)
            let directory = try makeTemporaryDirectory()
            defer { _ = try? run("rm", ["-rf", directory]) }
            let copied = try shell(
                """
                set -e
                cp "$M"/tagged/a/core "$D"/copy
                cmp "$M"/tagged/a/core "$D"/copy
                for bs in 123 5000; do
                    dd if="$M"/tagged/a/core of="$D"/part bs=$bs skip=4 count=1 status=none
                    tail -c +$((4 * bs + 1)) "$D"/copy | head -c $bs | cmp - "$D"/part
                done
                """, environment: ["M": device.mountpoint, "D": directory])
            #expect(copied.succeeded, "\(copied)")
            // The copy is a core file, too.
            #expect(try self.tags("\(directory)/copy", at: [16, 32, 48]) == "7e5")
        }
    }

    @Test("what is stored through mappings is there at once", arguments: [[], ["page_cache"]])
    func mappings(_ options: [String]) throws {
        try withDevice(mountOptions: options) { device in
            try device.make("tagged/a", pages: 2)
            let core = try device.open("tagged/a/core", O_RDONLY)
            let script = try Script()
            let tagsOffset = UInt64(Self.dataOffset + 2 * 4096)
            for (number, name) in ["mem", "views/0"].enumerated() {
                try script.map(number, device.path("tagged/a/\(name)"), at: 0, length: 8192)
                #expect(try script("store \(number) 5000 3 \(number + 9)") == "ok")
                // Data and tags, in one read.
                let bytes = try core.read(at: UInt64(Self.dataOffset + 5000), count: 8192)
                #expect(Array(bytes[..<4]) == Array(repeating: UInt8(number + 9), count: 3) + [0])
                #expect(bytes.count == 8192 - 5000 + 256)
            }
            if !options.isEmpty { return }
            try script.map(2, device.path("tagged/a/tags"), at: 0)
            #expect(try script("store 2 128 2 0x5a") == "ok")
            #expect(try core.read(at: tagsOffset + 127, count: 4) == [0, 0x5a, 0x5a, 0])
            // And again, as the page is another file's by now.
            #expect(try script("store 2 130 1 0x77") == "ok")
            #expect(try script("store 0 8191 1 0x66") == "ok")
            #expect(try core.read(at: tagsOffset - 1, count: 132).last == 0x77)
            #expect(try core.read(at: tagsOffset - 1, count: 1) == [0x66])
        }
    }

    @Test("has the size of its object; who has it open sees what it was at open") func sizes() throws {
        try withDevice { device in
            try device.make("tagged/a")
            let path = device.path("tagged/a/core")
            #expect(try status(of: path).st_size == Self.dataOffset)
            let memory = try device.make("tagged/b", pages: 2, seed: 3)
            let core = try device.open("tagged/b/core", O_RDONLY)
            let before = try core.readAll(1 << 20)
            let changed = try core.status().st_mtim
            usleep(20_000)
            try memory.truncate(4 * 4096)
            #expect(try core.size == Self.dataOffset + 4 * (4096 + 128))
            #expect(try core.readAll(1 << 20) == before)
            let now = try core.status().st_mtim
            #expect((changed.tv_sec, changed.tv_nsec) < (now.tv_sec, now.tv_nsec))
            try device.open("tagged/b/tags.hex").write("3", at: 3 * 256)
            #expect(try tags(device.path("tagged/b/core"), at: [3 * 4096, 3 * 4096 + 16]) == "30")
            try memory.truncate(0)
            #expect(try core.size == Self.dataOffset)
            let after = try core.readAll(1 << 20)
            #expect(after.count == before.count)
            #expect(after[..<Self.dataOffset] == before[..<Self.dataOffset])
            #expect(after[Self.dataOffset...].allSatisfy { $0 == 0 })
        }
    }

    @Test("holes of the object are holes of the file, and read as zero with tag 0") func holes() throws {
        try withDevice(size: "8M") { device in
            let pages = 64
            try device.make("tagged/a", pages: pages, seed: 1)
            let script = try Script()
            // Every other page of the first half, and the third quarter.
            for page in stride(from: 0, to: pages / 2, by: 2) {
                try script.punch(device.path("tagged/a/mem"), at: page * 4096, count: 4096)
            }
            try script.punch(device.path("tagged/a/mem"), at: pages / 2 * 4096, count: pages / 4 * 4096)
            let core = try device.open("tagged/a/core", O_RDONLY)
            let tagsOffset = UInt64(Self.dataOffset + pages * 4096)
            let end = try UInt64(core.size)
            func next(_ offset: UInt64, _ whence: File.Whence) throws -> UInt64? {
                do throws(Errno) { return try core.seek(offset, whence) } catch {
                    #expect(error == Errno(ENXIO))
                    return nil
                }
            }
            var extents: [Range<UInt64>] = []
            while let start = try next(extents.last?.upperBound ?? 0, .data) {
                extents.append(start..<(try #require(try next(start, .hole))))
            }
            var expected: [Range<UInt64>] = [0..<UInt64(Self.dataOffset)]
            for (base, size) in [(UInt64(Self.dataOffset), UInt64(4096)), (tagsOffset, 128)] {
                for page in stride(from: UInt64(1), to: UInt64(pages / 2), by: 2) {
                    expected.append(base + page * size..<base + (page + 1) * size)
                }
                expected.append(base + UInt64(pages * 3 / 4) * size..<base + UInt64(pages) * size)
            }
            #expect(extents == expected)
            #expect(try next(end - 1, .data) == end - 1 && next(end, .data) == nil && next(end, .hole) == nil)
            #expect(try next(5000, .hole) == 5000 && next(tagsOffset + 5, .hole) == tagsOffset + 5)
            let directory = try makeTemporaryDirectory()
            defer { _ = try? run("rm", ["-rf", directory]) }
            let copy = "\(directory)/copy"
            #expect(try run("cp", [device.path("tagged/a/core"), copy]).succeeded)
            #expect(try File(copy).readAll(1 << 20) == core.readAll(1 << 20))
            #expect(try status(of: copy).st_blocks * 512 < end * 3 / 4)
            try device.open("tagged/a/tags.hex").write("c", at: 256)
            let path = device.path("tagged/a/core")
            #expect(try tags(path, at: [0, 4096, pages / 2 * 4096]) == "0c0")
            #expect(
                try debug(path, ["x/xb 0x2008", "x/xb 0x1008"]) == ["0x2008:\t0x00", "0x1008:\t0x01"])
        }
    }

    @Test("is its owner's alone", .needsRoot) func owner() throws {
        try withDevice(mountOptions: ["allow_other"]) { device in
            try check { unsafe chmod(device.mountpoint, 0o755) }
            try device.make("tagged/a", pages: 1)
            let core = device.path("tagged/a/core")
            func asOther(_ line: String) throws -> Outcome {
                try run(
                    "setpriv",
                    ["--reuid", "1000", "--regid", "1000", "--clear-groups", "sh", "-c", line],
                    environment: ["C": core])
            }
            let refused = try asOther("head -c 4 \"$C\"")
            #expect(!refused.succeeded && refused.errors.contains("Permission denied"))
            try check { unsafe chmod(core, 0o444) }
            let allowed = try asOther("head -c 4 \"$C\" | tail -c 3")
            #expect(allowed.output == "ELF")
            // Nobody writes it, and mappings of it have nothing.
            #expect(throws: Errno(EACCES)) { try device.open("tagged/a/core", O_RDWR) }
            let script = try Script()
            try script.map(0, core, at: 0, "r")
            #expect(try script("load 0 0").hasPrefix("SIGBUS"))
        }
    }

    @Test("stays when its object is removed, as long as it is open, and goes with it") func removed() throws {
        try withDevice { device in
            try device.make("tagged/a", pages: 4, seed: 5)
            let core = try device.open("tagged/a/core", O_RDONLY)
            let before = try core.readAll(1 << 20)
            try device.remove("tagged/a")
            #expect(throws: Errno(ENOENT)) { try status(of: device.path("tagged/a/core")) }
            #expect(try core.readAll(1 << 20) == before)
            #expect(Array(before[Self.dataOffset..<Self.dataOffset + 4 * 4096]) == pattern(5, pages: 4))
            #expect(try core.status().st_nlink == 0)
            #expect(try device.amount("Free") < device.pages)
            try core.close()
            try device.expectAllFree()
        }
    }

    @Test("an untagged object has none; one that turns untagged keeps its bytes") func untagged() throws {
        try withDevice { device in
            try device.make("tagged/a", pages: 2, seed: 5)
            let core = try device.open("tagged/a/core", O_RDONLY)
            try device.move("tagged/a", to: "untagged/a")
            for name in ["untagged/a/core", "phys/core"] {
                #expect(throws: Errno(ENOENT)) { try device.open(name, O_RDONLY) }
            }
            #expect(try core.readAll(8192, at: UInt64(Self.dataOffset)) == pattern(5, pages: 2))
            #expect(throws: Errno(EOPNOTSUPP)) {
                try core.read(at: UInt64(Self.dataOffset + 8192), count: 256)
            }
            try device.move("untagged/a", to: "tagged/a")
            #expect(try tags(device.path("tagged/a/core"), at: [0, 8176]) == "00")
        }
    }
}
