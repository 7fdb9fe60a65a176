import Glibc
import Testing

@Suite("Objects: sizes, holes and ends", .timeLimit(.minutes(2)))
struct ObjectSizeTests {
    private static let zeros = [UInt8](repeating: 0, count: 4096)

    @Test(
        "A size is given by truncate, fallocate and writes behind the end", arguments: ["tagged", "untagged"])
    func sizes(directory: String) throws {
        try withDevice { device in
            let name = directory == "tagged" ? "Tagged" : "Untagged"
            try device.make("\(directory)/a")
            let file = try device.open("\(directory)/a/mem")
            try file.truncate(10_000)
            #expect(
                try file.size == 10_000 && status(of: device.path("\(directory)/a/mem")).st_size == 10_000)
            #expect(try device.amount(name) == 3)
            #expect(try file.readAll(20_000) == [UInt8](repeating: 0, count: 10_000))
            #expect(try file.write([1, 2, 3], at: 20_000) == 3)
            #expect(try file.size == 20_003 && device.amount(name) == 5)
            #expect(
                try file.read(at: 10_000, count: 20_000) == [UInt8](repeating: 0, count: 10_000) + [1, 2, 3])
            let (path, script) = (device.path("\(directory)/a/mem"), try Script())
            #expect(try script.allocate(path, 0, at: 30_000, count: 5000) == "ok")
            #expect(try file.size == 35_000 && device.amount(name) == 9)
            #expect(try script.allocate(path, 1, at: 0, count: 40_960) == "ok")
            #expect(try file.size == 35_000)
            #expect(try file.status().st_blocks == 10 * 8)
            if directory == "tagged" {
                let sizes = try ["views/0", "tags", "tags.hex"].map {
                    Int(try status(of: device.path("tagged/a/\($0)")).st_size)
                }
                #expect(sizes == [35_000, 1094, 2188])
                #expect(try status(of: device.path("tagged/a/checked")).st_size == 0)
            }
            try file.truncate(4096)
            #expect(try file.size == 4096 && file.read(at: 4090, count: 100).count == 6)
            #expect(try eventually { try device.amount(name) == 1 })
            _ = try device.open("\(directory)/a/mem", O_RDWR | O_TRUNC)
            #expect(try file.size == 0 && file.read(at: 0, count: 10).isEmpty)
            try device.expectAllFree()
            let append = try device.open("\(directory)/a/mem", O_WRONLY | O_APPEND)
            for part in ["one ", "two ", "three"] {
                let bytes = Array(part.utf8)
                try check { unsafe write(append.descriptor, bytes, bytes.count) }
            }
            #expect(try contents(of: device.path("\(directory)/a/mem")) == "one two three")
        }
    }

    @Test("On the other files of an object size changes do nothing") func otherFiles() throws {
        try withDevice { device in
            let file = try device.make("tagged/a", pages: 2, seed: 3)
            let script = try Script()
            for name in ["views/0", "tags", "tags.hex", "checked", "mode"] {
                let size = try status(of: device.path("tagged/a/\(name)")).st_size
                let other = try device.open("tagged/a/\(name)", O_RDWR | O_TRUNC)
                try other.truncate(100)
                let path = device.path("tagged/a/\(name)")
                #expect(try script.allocate(path, 0, at: 1 << 20, count: 4096) == "ok", "\(name)")
                #expect(try script.allocate(path, 3, at: 0, count: 4096) == "EOPNOTSUPP", "\(name)")
                #expect(try status(of: device.path("tagged/a/\(name)")).st_size == size, "\(name)")
            }
            #expect(try file.size == 8192)
            // A write behind the end of anything but mem has no place to go.
            #expect(throws: Errno.self) { try device.open("tagged/a/views/0").write([1], at: 8192) }
            #expect(throws: Errno.self) { try device.open("tagged/a/tags").write([1], at: 256) }
            #expect(try file.size == 8192)
            #expect(try file.firstPageUnlike(3, pages: 2) == nil)
        }
    }

    @Test(
        "What is cut off is zero, with tag 0, when the object grows again",
        arguments: [1, 15, 16, 100, 2048, 4095])
    func tails(left: Int) throws {
        try withDevice { device in
            for directory in ["tagged", "untagged"] {
                let bytes = [UInt8](repeating: 0xa5, count: 3 * 4096)
                let file = try device.make("\(directory)/a", pages: 3)
                let script = try Script()
                try script.map(0, device.path("\(directory)/a/mem"), at: 0, length: 4 * 4096)
                let isTagged = directory == "tagged"
                let digits = [UInt8](repeating: UInt8(ascii: "7"), count: 3 * 256)
                for isMapped in [false, true] {
                    try file.writeAll(bytes)
                    if isMapped { #expect(try script("store 0 0 12288 0xa5") == "ok") }
                    if isTagged { try device.open("tagged/a/tags.hex").write(digits, at: 0) }
                    try file.truncate(4096 + left)
                    #expect(try script("load 0 8192").hasPrefix("SIGBUS"))
                    try file.truncate(3 * 4096)
                    let expected = Array(bytes[..<(4096 + left)]) + [UInt8](repeating: 0, count: 8192 - left)
                    #expect(try file.readAll(3 * 4096) == expected, "\(directory) \(isMapped)")
                    #expect(try script("load 0 \(4096 + left - 1)") == "0xa5")
                    #expect(try script("load 0 \(4096 + left)") == "0x00")
                    #expect(try script("load 0 8192") == "0x00")
                    if isTagged {
                        let found = try device.open("tagged/a/tags.hex").read(at: 0, count: 3 * 256)
                        let kept = 256 + (left + 15) / 16
                        #expect(found == Array(digits[..<kept]) + [UInt8](repeating: 0x30, count: 768 - kept))
                    }
                }
                try device.remove("\(directory)/a")
            }
        }
    }

    @Test("A hole gives its pages back and reads as zero", arguments: ["tagged", "untagged"])
    func punching(directory: String) throws {
        try withDevice { device in
            let file = try device.make("\(directory)/a", pages: 16, seed: 5)
            let name = directory == "tagged" ? "Tagged" : "Untagged"
            let (path, script) = (device.path("\(directory)/a/mem"), try Script())
            try script.map(0, path, at: 0, length: 16 * 4096)
            #expect(try script("fill 0 0 16 5") == "ok")
            var expected = pattern(5, pages: 16)
            func zero(_ range: Range<Int>) { for index in range { expected[index] = 0 } }
            try script.punch(path, at: 3 * 4096, count: 2 * 4096)
            zero(3 * 4096..<5 * 4096)
            #expect(try device.amount(name) == 14)
            // Parts of pages are set to zero, whole ones go.
            try script.punch(path, at: 8 * 4096 + 100, count: 2 * 4096)
            zero(8 * 4096 + 100..<10 * 4096 + 100)
            #expect(try device.amount(name) == 13)
            #expect(try file.readAll(1 << 20) == expected)
            #expect(try file.size == 16 * 4096 && file.status().st_blocks == 13 * 8)
            #expect(try file.seek(0, .hole) == 3 * 4096)
            #expect(try file.seek(3 * 4096, .data) == 5 * 4096)
            #expect(try file.seek(4 * 4096 + 7, .hole) == 4 * 4096 + 7)
            #expect(try file.seek(5 * 4096, .hole) == 9 * 4096)
            #expect(try file.seek(9 * 4096, .data) == 10 * 4096)
            #expect(try file.seek(10 * 4096, .hole) == 16 * 4096)
            #expect(throws: Errno(ENXIO)) { try file.seek(16 * 4096, .data) }
            let addresses = try device.addresses(of: "\(directory)/a")
            #expect(addresses.indices.filter { addresses[$0] == nil } == [3, 4, 9])
            // Loads see zeros; a store gets a page.
            #expect(try script("load 0 \(3 * 4096 + 9)") == "0x00")
            #expect(try script("store 0 \(4 * 4096 + 1) 1 0x42") == "ok")
            expected[4 * 4096 + 1] = 0x42
            #expect(try script("msync 0") == "ok")
            #expect(try file.write([0x43], at: 9 * 4096) == 1)
            expected[9 * 4096] = 0x43
            #expect(try file.readAll(1 << 20) == expected)
            #expect(try script("load 0 \(9 * 4096)") == "0x43")
            // To the end and behind it; all of it.
            try script.punch(path, at: 15 * 4096, count: 1 << 30)
            #expect(try file.seek(10 * 4096, .hole) == 15 * 4096)
            try script.punch(path, at: 0, count: 1 << 40)
            #expect(try file.size == 16 * 4096 && file.status().st_blocks == 0)
            #expect(throws: Errno(ENXIO)) { try file.seek(0, .data) }
            #expect(try device.amount("Free") == device.pages)
            #expect(try file.readAll(1 << 20) == [UInt8](repeating: 0, count: 16 * 4096))
            // Room for it is had again in advance.
            #expect(try script.allocate(path, 0, at: 0, count: 16 * 4096) == "ok")
            #expect(try device.amount(name) == 16)
        }
    }

    @Test("An object of one page costs little memory, wherever the page is") func farOut() throws {
        try withDevice(size: "16G") { device in
            let script = try Script()
            let before = try device.residentMemory()
            for index in 0..<150 {
                try device.make("tagged/a\(index)")
                let path = device.path("tagged/a\(index)/mem")
                try #require(try script.allocate(path, 1, at: 8 << 30 + index << 20, count: 4096) == "ok")
            }
            #expect(try device.amount("Tagged") == 150)
            let cost = try device.residentMemory() - before
            #expect(cost < 50 << 10, "\(cost) KiB")
        }
    }

    @Test("Tags of a hole are 0, and a view of another tag refuses it") func tagsOfHoles() throws {
        try withDevice { device in
            try device.make("tagged/a", pages: 4, seed: 5)
            let tags = try device.open("tagged/a/tags.hex")
            try tags.write([UInt8](repeating: UInt8(ascii: "9"), count: 1024), at: 0)
            let script = try Script()
            try script.map(9, device.path("tagged/a/views/9"), at: 0, length: 4 * 4096)
            #expect(try script("fill 9 0 4 6") == "ok")
            try script.punch(device.path("tagged/a/mem"), at: 4096, count: 4096)
            #expect(try tags.read(at: 256, count: 256) == [UInt8](repeating: UInt8(ascii: "0"), count: 256))
            #expect(try script("load 9 4096").hasPrefix("SIGBUS BUS_ADRERR 0x1000"))
            #expect(throws: Errno(EFAULT)) { try device.open("tagged/a/views/9").read(at: 4096, count: 1) }
            #expect(
                try device.open("tagged/a/views/0").read(at: 4096, count: 8)
                    == [UInt8](repeating: 0, count: 8))
            // Tags need a page.
            try tags.write([UInt8](repeating: UInt8(ascii: "9"), count: 256), at: 256)
            #expect(try device.amount("Tagged") == 4)
            #expect(try script("load 9 4096") == "0x00")
            #expect(try script("verify 9 2 2 6") == "ok")
        }
    }

    @Test("What is too large is ENOSPC and changes nothing") func tooLarge() throws {
        try withDevice(runsOut: true) { device in
            let script = try Script()
            for (directory, most) in [("tagged", 512), ("untagged", 528)] {
                let file = try device.make("\(directory)/a", pages: 1, seed: 2)
                for size in [most + 1, 1 << 20, 1 << 40] {
                    #expect(throws: Errno(ENOSPC), "\(size)") { try file.truncate(size * 4096) }
                    for mode in [0, 1] {
                        let path = device.path("\(directory)/a/mem")
                        let answer = try script.allocate(path, mode, at: 0, count: size * 4096)
                        #expect(answer == "ENOSPC", "\(size) \(mode)")
                    }
                    #expect(throws: Errno(ENOSPC), "\(size)") { try file.write([1], at: UInt64(size) * 4096) }
                }
                #expect(throws: Errno(ENOSPC)) { try file.truncate(Int.max) }
                #expect(throws: Errno(ENOSPC)) { try file.write([1], at: UInt64(Int64.max) - 1) }
                #expect(try file.size == 4096 && file.firstPageUnlike(2, pages: 1) == nil)
                #expect(try device.amount("Free") == device.pages - (directory == "tagged" ? 2 : 1))
                // To the last page there is.
                try file.truncate(most * 4096)
                #expect(try device.amount("Free") == 0)
                #expect(throws: Errno(ENOSPC)) { try file.write([1], at: UInt64(most) * 4096) }
                #expect(try file.size == most * 4096 && file.firstPageUnlike(2, pages: 1) == nil)
                try device.remove("\(directory)/a")
                try file.close()
                try device.expectAllFree()
            }
        }
    }
}
