import Glibc
import Testing

@Suite("Objects: made, named, owned, listed and removed", .timeLimit(.minutes(2)))
struct ObjectTests {
    private static let taggedFiles = [
        "checked", "core", "mem", "mode", "pages", "tags", "tags.hex", "tfsr", "views",
    ]

    @Test("A directory is populated at once, and goes with its files") func lifeOfAnObject() throws {
        try withDevice { device in
            try device.make("tagged/heap")
            try device.make("untagged/cache")
            #expect(try names(in: device.path("tagged")) == ["heap"])
            #expect(try names(in: device.path("tagged/heap")) == Self.taggedFiles)
            #expect(
                try names(in: device.path("tagged/heap/views")) == "0123456789abcdef".map(String.init))
            #expect(try names(in: device.path("untagged/cache")) == ["mem", "pages"])
            for (name, mode) in [
                ("tagged/heap", 0o40755), ("tagged/heap/mem", 0o100600), ("tagged/heap/views/0", 0o100666),
                ("tagged/heap/checked", 0o100666), ("tagged/heap/tags", 0o100600),
                ("tagged/heap/core", 0o100400),
                ("tagged/heap/pages", 0o100444), ("untagged/cache/mem", 0o100600),
            ] as [(String, mode_t)] {
                let found = try status(of: device.path(name))
                #expect(found.st_mode == mode && found.st_uid == getuid(), "\(name)")
            }
            #expect(try status(of: device.path("tagged")).st_nlink == 3)
            #expect(try status(of: device.path("tagged/heap")).st_nlink == 3)
            #expect(try status(of: device.path("untagged/cache")).st_nlink == 2)
            for name in ["mem", "tags", "tags.hex", "views/7"] {
                #expect(try status(of: device.path("tagged/heap/\(name)")).st_size == 0, "\(name)")
                #expect(try device.open("tagged/heap/\(name)").read(at: 0, count: 10).isEmpty, "\(name)")
            }
            #expect(try contents(of: device.path("tagged/heap/pages")) == "")
            try device.remove("tagged/heap")
            try device.remove("untagged/cache")
            #expect(throws: Errno(ENOENT)) { try status(of: device.path("tagged/heap/mem")) }
            #expect(try names(in: device.path("untagged")).isEmpty)
            #expect(try status(of: device.path("tagged")).st_nlink == 2)
            try device.expectAllFree()
        }
    }

    @Test("What is not a change of an object is refused") func refusals() throws {
        try withDevice { device in
            try device.make("tagged/a")
            try device.make("untagged/b")
            #expect(throws: Errno(EEXIST)) { try device.make("tagged/a") }
            #expect(throws: Errno(ENOENT)) { try device.remove("tagged/b") }
            #expect(throws: Errno(ENOENT)) { try device.move("tagged/b", to: "tagged/c") }
            for (from, to) in [("untagged/b", "tagged/a"), ("tagged/a", "untagged/b")] {
                #expect(throws: Errno(ENOTEMPTY)) { try device.move(from, to: to) }
            }
            try device.make("tagged/c")
            #expect(throws: Errno(ENOTEMPTY)) { try device.move("tagged/c", to: "tagged/a") }
            for directory in [
                "tagged/a/new", "tagged/a/views/new", "untagged/b/new", "control/new", "phys/new",
            ] {
                #expect(throws: Errno(EPERM), "\(directory)") { try device.make(directory) }
            }
            for file in ["tagged/new", "untagged/new", "tagged/a/new"] {
                #expect(throws: Errno(EPERM), "\(file)") { try device.open(file, O_RDWR | O_CREAT) }
                #expect(throws: Errno(EPERM), "\(file)") {
                    try check { unsafe symlink("mem", device.path(file)) }
                }
                #expect(throws: Errno(EPERM), "\(file)") {
                    try check { unsafe link(device.path("tagged/a/mem"), device.path(file)) }
                }
            }
            for file in ["mem", "tags", "views/0", "pages"] {
                #expect(throws: Errno(EPERM), "\(file)") {
                    try check { unsafe unlink(device.path("tagged/a/\(file)")) }
                }
                #expect(throws: Errno(EPERM), "\(file)") {
                    try device.move("tagged/a/\(file)", to: "tagged/a/other")
                }
            }
            #expect(throws: Errno(ENOTDIR)) { try device.remove("tagged/a/mem") }
            for (from, to) in [
                ("tagged/a", "a"), ("tagged/a", "phys/a"), ("tagged/a", "tagged/c/a"), ("phys", "tagged/p"),
                ("tagged/a/views", "tagged/views"), ("control", "untagged/control"), ("untagged", "tagged/u"),
            ] {
                #expect(throws: Errno(EPERM), "\(from) \(to)") { try device.move(from, to: to) }
            }
            #expect(throws: Errno(EPERM)) { try device.remove("tagged/a/views") }
            #expect(throws: Errno(EACCES)) { try device.open("tagged/a/pages", O_RDWR) }
            #expect(try names(in: device.path("tagged")) == ["a", "c"])
            #expect(try names(in: device.path("untagged")) == ["b"])
        }
    }

    @Test("Names are any that can be shown, told apart by their bytes") func objectNames() throws {
        try withDevice { device in
            let usable = [
                "a b", ".hidden", "-rf", "ü", "u\u{308}", "日本", "a=b\"c", "%s",
                String(repeating: "x", count: 255),
            ]
            for name in usable { try device.make("tagged/\(name)") }
            let found = try names(in: device.path("tagged"))
            #expect(Set(found.map { Array($0.utf8) }) == Set(usable.map { Array($0.utf8) }))
            #expect(found.count == usable.count)
            #expect(throws: Errno(ENAMETOOLONG)) {
                try device.make("tagged/" + String(repeating: "x", count: 256))
            }
            let unusable: [[UInt8]] = [
                [0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], [0x61, 0x0a, 0x62], [0x09], [0x7f],
            ]
            for bytes in unusable {
                for directory in ["tagged", "untagged"] {
                    let path = (Array(device.path("\(directory)/").utf8) + bytes + [0]).map {
                        CChar(bitPattern: $0)
                    }
                    #expect(throws: Errno(EINVAL), "\(bytes)") { try check { unsafe mkdir(path, 0o755) } }
                    #expect(throws: Errno(EINVAL), "\(bytes)") {
                        try check { unsafe rename(device.path("tagged/.hidden"), path) }
                    }
                }
            }
            // The two look the same and are two.
            try device.open("tagged/ü/mem").write("composed")
            #expect(try status(of: device.path("tagged/u\u{308}/mem")).st_size == 0)
            try device.remove("tagged/u\u{308}")
            #expect(try contents(of: device.path("tagged/ü/mem")) == "composed")
            try device.move("tagged/ü", to: "tagged/u\u{308}")
            #expect(try contents(of: device.path("tagged/u\u{308}/mem")) == "composed")
            #expect(throws: Errno(ENOENT)) { try status(of: device.path("tagged/ü")) }
            for name in usable where !name.utf8.elementsEqual("ü".utf8) {
                try device.remove("tagged/\(name)")
            }
            #expect(try names(in: device.path("tagged")).isEmpty)
        }
    }

    @Test("An object has the name that it is given; its contents go along") func renaming() throws {
        try withDevice { device in
            let file = try device.make("tagged/a", pages: 3, seed: 7)
            try device.open("tagged/a/tags", O_WRONLY).write([0x55, 0x55], at: 0)
            let script = try Script()
            try script.map(0, device.path("tagged/a/mem"), at: 0, length: 3 * 4096)
            let inode = try status(of: device.path("tagged/a")).st_ino
            try device.move("tagged/a", to: "tagged/a")
            try device.move("tagged/a", to: "tagged/b")
            #expect(try status(of: device.path("tagged/b")).st_ino == inode)
            #expect(throws: Errno(ENOENT)) { try status(of: device.path("tagged/a")) }
            #expect(try file.firstPageUnlike(7, pages: 3) == nil)
            #expect(try script("verify 0 0 3 7") == "ok")
            #expect(try device.open("tagged/b/tags.hex").read(at: 0, count: 5) == Array("55550".utf8))
            // The log names it as it is called now.
            _ = try? device.open("tagged/b/views/3", O_RDONLY).read(at: 0, count: 1)
            #expect(try device.faults().last?["object"] == "tagged/b")
            // mv -n asks with RENAME_NOREPLACE; an exchange of two is no rename of one.
            try device.make("tagged/c")
            let outcome = try run("mv", ["-nT", device.path("tagged/b"), device.path("tagged/c")])
            #expect(outcome.ending != .timedOut)
            #expect(try names(in: device.path("tagged")) == ["b", "c"])
            try device.remove("tagged/c")
            #expect(try run("mv", ["-nT", device.path("tagged/b"), device.path("tagged/c")]).succeeded)
            #expect(try names(in: device.path("tagged")) == ["c"])
        }
    }

    @Test(
        "An object that was removed lives as long as it is open or mapped", arguments: ["tagged", "untagged"])
    func removedInUse(directory: String) throws {
        try withDevice { device in
            let name = "\(directory)/a"
            let file = try device.make(name, pages: 5, seed: 1)
            let script = try Script()
            try script.map(0, device.path("\(name)/mem"), at: 0, length: 8 * 4096)
            #expect(try script("close 0") == "ok")
            #expect(try script("store 0 4096 4096 0x5a") == "ok")
            try device.remove(name)
            #expect(try file.status().st_nlink == 0)
            // Another one can have its name at once.
            try device.make(name)
            #expect(try status(of: device.path("\(name)/mem")).st_size == 0)
            #expect(try script("verify 0 0 1 1") == "ok")
            #expect(try file.read(at: 4096, count: 1) == [0x5a])
            try file.truncate(7 * 4096)
            #expect(try file.write([9], at: 6 * 4096) == 1)
            #expect(try script("load 0 \(6 * 4096)") == "0x09")
            #expect(try device.amount("Untagged") + device.amount("Tagged") == 7)
            try file.close()
            #expect(try script("store 0 8 1 0x77") == "ok")
            #expect(try script("load 0 8") == "0x77")
            #expect(try device.amount("Untagged") + device.amount("Tagged") == 7)
            #expect(try script("unmap 0") == "ok")
            try device.expectAllFree()
        }
    }

    @Test("Ten thousand objects are made, listed and removed") func thousands() throws {
        try withDevice(size: "256M", limit: 100) { device in
            let count = 10_000
            for index in 0..<count { try device.make("untagged/object\(index)") }
            let list = try names(in: device.path("untagged"))
            #expect(list.count == count && Set(list) == Set((0..<count).map { "object\($0)" }))
            #expect(try status(of: device.path("untagged")).st_nlink == nlink_t(count + 2))
            for index in stride(from: 0, to: count, by: 10) {
                try device.open("untagged/object\(index)/mem").write([UInt8(index % 251)], at: 0)
            }
            #expect(try device.amount("Untagged") == count / 10)
            // Listing while they go away finds the others.
            for index in stride(from: 1, to: count, by: 2) { try device.remove("untagged/object\(index)") }
            #expect(try names(in: device.path("untagged")).count == count / 2)
            for index in stride(from: 0, to: count, by: 10) {
                let found = try device.open("untagged/object\(index)/mem").read(at: 0, count: 2)
                #expect(found == [UInt8(index % 251)])
            }
            let outcome = try shell("cd \"$D\" && rmdir object*", environment: ["D": device.path("untagged")])
            #expect(outcome.succeeded, "\(outcome.errors.prefix(500))")
            #expect(try names(in: device.path("untagged")).isEmpty)
            try device.expectAllFree()
        }
    }
}
