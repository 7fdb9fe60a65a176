import Glibc
import Testing

@Suite("The tree: names, attributes, and what it refuses", .timeLimit(.minutes(2)))
struct TreeTests {
    @Test("Each directory has its names") func directories() throws {
        try withDevice { device in
            let root = try names(in: device.mountpoint)
            #expect(
                root == [
                    "blocks", "control", "faults", "faults_pipe", "firmware", "map.svg", "meminfo", "metrics",
                    "phys", "tagged", "untagged", "vmstat",
                ])
            let control = try names(in: device.path("control"))
            #expect(
                control == [
                    "atomic", "claim", "compact", "compaction", "pin", "reserve_tagged", "reserve_untagged",
                    "unpin",
                ])
            #expect(try names(in: device.path("tagged")).isEmpty)
            #expect(try names(in: device.path("untagged")).isEmpty)
            let phys = try names(in: device.path("phys"))
            #expect(phys == ["checked", "mem", "mode", "tags", "tags.hex", "tfsr", "views"])
            let views = try names(in: device.path("phys/views"))
            #expect(views == "0123456789abcdef".map(String.init))
            let list = try run("ls", ["-lR", device.mountpoint])
            #expect(list.succeeded && list.errors == "")
            #expect(list.output.contains("-rw-------"))
            let firmware = try names(in: device.path("firmware"))
            #expect(firmware == ["devicetree", "fdt"])
            let found = try run(
                "find", [device.mountpoint, "-path", "*/devicetree", "-prune", "-o", "-type", "f", "-print"])
            #expect(found.succeeded && found.output.split(separator: "\n").count == 7 + 1 + 8 + 6 + 16)
        }
    }

    @Test("The operating system's side is its owner's alone, the program's side everyone's")
    func permissions() throws {
        try withDevice { device in
            let expected: [(String, mode_t)] = [
                ("", 0o40755), ("phys", 0o40755), ("phys/views", 0o40755), ("phys/mem", 0o100600),
                ("phys/tags", 0o100600), ("phys/tags.hex", 0o100600), ("phys/checked", 0o100600),
                ("phys/views/0", 0o100600), ("phys/views/f", 0o100600), ("phys/mode", 0o100644),
                ("phys/tfsr", 0o100644), ("meminfo", 0o100444), ("vmstat", 0o100444), ("faults", 0o100444),
                ("faults_pipe", 0o100400), ("blocks", 0o100444), ("metrics", 0o100444),
                ("map.svg", 0o100444), ("firmware", 0o40755), ("firmware/fdt", 0o100400),
                ("firmware/devicetree", 0o40755), ("firmware/devicetree/model", 0o100444),
                ("tagged", 0o40755), ("untagged", 0o40755), ("control", 0o40755),
                ("control/compact", 0o100600), ("control/compaction", 0o100600), ("control/pin", 0o100600),
                ("control/unpin", 0o100200), ("control/atomic", 0o100600), ("control/claim", 0o100600),
                ("control/reserve_tagged", 0o100600), ("control/reserve_untagged", 0o100600),
            ]
            for (name, mode) in expected {
                let found = try status(of: device.path(name))
                #expect(found.st_mode == mode, "\(name)")
                #expect(found.st_uid == getuid() && found.st_gid == getgid(), "\(name)")
            }
            #expect(try status(of: device.mountpoint).st_nlink == 7)
            #expect(try status(of: device.path("phys")).st_nlink == 3)
            for name in ["tagged", "untagged", "control"] {
                #expect(try status(of: device.path(name)).st_nlink == 2)
            }
        }
    }

    @Test("Sizes are the last address; memory is counted once, as far as it is in use") func sizes() throws {
        try withDevice { device in
            let expected: [(String, UInt64)] = [
                ("phys/mem", device.map.end), ("phys/views/7", device.map.end),
                ("phys/tags", device.map.end / 32), ("phys/tags.hex", device.map.end / 16),
                ("phys/checked", 0),
            ]
            func expectBlocks(_ blocks: Int64) throws {
                for (name, size) in expected {
                    let found = try status(of: device.path(name))
                    #expect(UInt64(found.st_size) == size, "\(name)")
                    #expect(Int64(found.st_blocks) == (name == "phys/mem" ? blocks : 0), "\(name)")
                }
            }
            try expectBlocks(0)
            try device.store([UInt8](repeating: 1, count: Int(device.map.size)), at: device.map.base)
            try expectBlocks(Int64(device.map.size) / 512)
            let disk = try run("du", ["-B1", device.path("phys")])
            #expect(disk.output.split(separator: "\n").last?.hasPrefix("\(device.map.size)\t") == true)
        }
    }

    @Test("checked has no size to say, and is read and written all the same") func checkedSize() throws {
        try withDevice { device in
            let object = try device.make("tagged/a", pages: 2, seed: 1)
            let file = try device.open("tagged/a/checked")
            #expect(try file.status().st_size == 0)
            #expect(try check { lseek(file.descriptor, 0, SEEK_END) } == 0)
            #expect(try file.write(Array("abc".utf8), at: 4096) == 3)
            #expect(try file.status().st_size == 0)
            #expect(try object.read(at: 4096, count: 3) == Array("abc".utf8))
            #expect(try file.read(at: 4096, count: 3) == Array("abc".utf8))
        }
    }

    @Test("What copies, searches or archives all files of a fresh device ends soon", .timeLimit(.minutes(1)))
    func wholeTree() throws {
        var options = Device.Options(size: "1G")
        options.limit = 50
        try withDevice(options) { device in
            try device.make("tagged/a", pages: 4, seed: 1)
            let directory = try makeTemporaryDirectory()
            defer { _ = try? run("rm", ["-rf", directory]) }
            for command in [
                "cp -r \"$M\"/phys \"$M\"/tagged \"$D\"",
                "tar c --sparse \"$M\"/phys \"$M\"/tagged | cat > /dev/null",
                "grep -r nothing-like-it \"$M\"/phys \"$M\"/tagged",
            ] {
                // What views refuse is an error of the tool; that it takes too long would be one of the test.
                _ = try shell(command, timeout: 20, environment: ["M": device.mountpoint, "D": directory])
            }
            let copy = try File("\(directory)/tagged/a/mem").readAll(4 * 4096)
            #expect(copy == pattern(1, pages: 4))
        }
    }

    @Test("df -i counts objects") func inodes() throws {
        try withDevice { device in
            try device.make("tagged/a")
            let found = try run("stat", ["-f", "-c", "%c %d", device.mountpoint])
            #expect(found.line == "1048576 1048575")
        }
    }

    @Test("chmod, chown and the times stick", .needsRoot) func attributesStick() throws {
        try withDevice { device in
            for name in ["phys/mem", "phys/views/3", "phys", "faults", "phys/mode"] {
                let path = device.path(name)
                let type = try status(of: path).st_mode & S_IFMT
                try check { unsafe chmod(path, 0o640) }
                try check { unsafe chown(path, 12, 34) }
                let times = try run("touch", ["-d", "2001-02-03T04:05:06.789Z", path])
                #expect(times.succeeded)
                let view = try run("stat", ["-c", "%a %u %g %Y %X", path])
                #expect(view.line == "640 12 34 981173106 981173106", "\(name)")
                #expect(try status(of: path).st_mode == type | 0o640)
            }
            #expect(try status(of: device.path("phys/views/4")).st_mode == 0o100600)
        }
    }

    @Test("Size changes are accepted and ignored") func sizeChanges() throws {
        try withDevice { device in
            let pattern = [UInt8](repeating: 0xa7, count: 4096)
            try device.store(pattern, at: device.map.base)
            try device.setTag(0xa, at: device.map.base)
            for name in ["mem", "tags", "tags.hex", "checked", "views/a", "mode", "tfsr"] {
                let path = device.path("phys/\(name)")
                let size = try status(of: path).st_size
                let outcome = try shell(
                    """
                    set -e
                    : > "$F"
                    truncate -s 0 "$F"
                    truncate -s 1T "$F"
                    truncate -s +4096 "$F"
                    fallocate -l 4096 "$F"
                    fallocate -n -o 4096 -l 4096 "$F"
                    """, environment: ["F": path])
                #expect(outcome.succeeded && outcome.errors == "", "\(name): \(outcome.errors)")
                let file = try File(path, O_RDWR | O_TRUNC)
                try file.truncate(0)
                try file.truncate(12345)
                let after = (file: try file.status().st_size, path: try status(of: path).st_size)
                #expect(after.file == size && after.path == size, "\(name)")
            }
            let found = try device.memory(at: device.map.base, count: 4096)
            #expect(found == pattern)
            let digits = try device.open("phys/tags.hex").read(at: device.map.base / 16, count: 256)
            #expect(digits == [UInt8](repeating: UInt8(ascii: "a"), count: 256))
            #expect(try device.mode() == "sync\n")
        }
    }

    @Test("fallocate behind the end leaves the size alone") func allocationBehindTheEnd() throws {
        try withDevice { device in
            let script = try Script()
            for name in ["mem", "tags", "views/2"] {
                let path = device.path("phys/\(name)")
                let size = try status(of: path).st_size
                _ = try script("open 0 \(path) rw")
                let answer = try script("fallocate 0 0 \(device.map.end + 4096) 8192")
                #expect(answer == "ok")
                #expect(try status(of: path).st_size == size, "\(name)")
                _ = try script("close 0")
            }
        }
    }

    @Test(
        "Holes are not punched, and nothing is moved", arguments: [0x03, 0x10, 0x11, 0x08, 0x20, 0x01 | 0x40])
    func holesAreRefused(mode: Int) throws {
        try withDevice { device in
            let pattern = [UInt8](repeating: 0xa7, count: 8192)
            try device.store(pattern, at: device.map.base)
            let script = try Script()
            for name in ["mem", "views/0"] {
                _ = try script("open 0 \(device.path("phys/\(name)")) rw")
                let answer = try script("fallocate 0 \(mode) \(device.map.base) 4096")
                #expect(answer == "EOPNOTSUPP", "\(name)")
                _ = try script("close 0")
            }
            let found = try device.memory(at: device.map.base, count: 8192)
            #expect(found == pattern)
        }
    }

    @Test("The structure is not the caller's to change") func refusals() throws {
        try withDevice { device in
            for directory in ["", "phys/", "phys/views/", "control/"] {
                let new = device.path("\(directory)new")
                #expect(throws: Errno(EPERM)) { try check { unsafe mkdir(new, 0o755) } }
                #expect(throws: Errno(EPERM)) { try File(new, O_RDWR | O_CREAT) }
                #expect(throws: Errno(EPERM)) { try check { unsafe mknod(new, S_IFREG | 0o600, 0) } }
                #expect(throws: Errno(EPERM)) { try check { unsafe mkfifo(new, 0o600) } }
                #expect(throws: Errno(EPERM)) { try check { unsafe symlink("mem", new) } }
                #expect(throws: Errno(EPERM)) { try check { unsafe link(device.path("phys/mem"), new) } }
                #expect(throws: Errno(EPERM)) { try check { unsafe rename(device.path("phys/mem"), new) } }
                #expect(throws: Errno(ENOENT)) { try status(of: new) }
            }
            for file in ["phys/mem", "phys/views/0", "faults", "phys/mode", "control/pin"] {
                #expect(throws: Errno(EPERM)) { try check { unsafe unlink(device.path(file)) } }
            }
            for directory in ["phys", "phys/views", "control", "tagged", "untagged"] {
                #expect(throws: Errno(EPERM)) { try check { unsafe rmdir(device.path(directory)) } }
                #expect(throws: Errno(EPERM)) {
                    try check { unsafe rename(device.path(directory), device.path("moved")) }
                }
            }
            #expect(throws: Errno(EPERM)) {
                try check { unsafe rename(device.path("phys/tags"), device.path("phys/mem")) }
            }
            // What existed is still there, and opening it with O_CREAT is opening it.
            _ = try device.open("phys/mem", O_RDWR | O_CREAT)
            #expect(try names(in: device.path("phys")).count == 7)
            let touched = try run("touch", [device.path("new")])
            #expect(touched.ending == .exited(1) && touched.errors.contains("Operation not permitted"))
        }
    }

    @Test("Extended attributes and ioctl are not there") func unsupported() throws {
        try withDevice { device in
            let script = try Script()
            for name in ["phys/mem", "phys/views/1", "phys", "faults"] {
                // Who may not write a file is told that first.
                if name != "faults" {
                    #expect(try script("setxattr \(device.path(name))") == "EOPNOTSUPP")
                }
                #expect(try script("getxattr \(device.path(name))") == "EOPNOTSUPP")
            }
            for name in ["phys/mem", "phys/views/1", "faults", "phys/mode"] {
                _ = try script("open 0 \(device.path(name)) r")
                #expect(try script("ioctl 0 0x5401") == "ENOTTY")
                #expect(try script("ioctl 0 0xc0de0001") == "ENOTTY")
                _ = try script("close 0")
            }
        }
    }

    @Test("Names that are not there") func unknownNames() throws {
        try withDevice { device in
            for name in [
                "nothing", "phys/Mem", "phys/views/10", "phys/views/A", "phys/views/g", "phys/tags.HEX",
                "tagged/x", "phys/views/ ", "phys/\u{1}",
            ] {
                #expect(throws: Errno(ENOENT)) { try status(of: device.path(name)) }
                #expect(throws: Errno(ENOENT)) { try device.open(name, O_RDONLY) }
            }
            let long = String(repeating: "x", count: 255)
            #expect(throws: Errno(ENOENT)) { try status(of: device.path(long)) }
            #expect(throws: Errno(ENAMETOOLONG)) { try status(of: device.path(long + "x")) }
            #expect(throws: Errno(ENAMETOOLONG)) {
                try status(of: device.path(String(repeating: long, count: 17)))
            }
            #expect(throws: Errno(ENOTDIR)) { try status(of: device.path("phys/mem/x")) }
            #expect(throws: Errno(EISDIR)) { try device.open("phys", O_RDWR) }
        }
    }

    @Test(
        "What only reports cannot be written",
        arguments: ["meminfo", "vmstat", "faults", "faults_pipe", "blocks", "metrics", "map.svg"])
    func readOnlyFiles(name: String) throws {
        try withDevice { device in
            #expect(throws: Errno(EACCES)) { try device.open(name, O_WRONLY) }
            #expect(throws: Errno(EACCES)) { try device.open(name, O_RDWR) }
        }
    }

    @Test(
        "Memory is data where somebody has used it", arguments: [("mem", 1), ("tags", 32), ("tags.hex", 16)])
    func holes(name: String, scale: UInt64) throws {
        try withDevice { device in
            let file = try device.open("phys/\(name)", O_RDONLY)
            let (base, end) = (device.map.base / scale, device.map.end / scale)
            #expect(throws: Errno(ENXIO)) { try file.seek(0, .data) }
            #expect(try file.seek(0, .hole) == 0)
            #expect(try file.seek(base + 5, .hole) == base + 5)
            // All memory, and all tags.
            try device.store(
                [UInt8](repeating: 1, count: Int(device.map.end - device.map.base)), at: device.map.base)
            // Tag storage has no tags.
            let last = name == "mem" ? end : device.map.tagBase / scale
            #expect(try file.seek(0, .data) == base)
            #expect(try file.seek(base - 1, .data) == base)
            #expect(try file.seek(base, .data) == base)
            #expect(try file.seek(base + 77, .data) == base + 77)
            #expect(try file.seek(0, .hole) == 0)
            #expect(try file.seek(base - 1, .hole) == base - 1)
            #expect(try file.seek(base, .hole) == last)
            #expect(try file.seek(base + 5, .hole) == last)
            #expect(throws: Errno(ENXIO)) { try file.seek(end, .data) }
            #expect(throws: Errno(ENXIO)) { try file.seek(end, .hole) }
            #expect(throws: Errno(ENXIO)) { try file.seek(end + 1, .data) }
        }
    }

    @Test("What is stored through a mapping is data at once") func mappedData() throws {
        try withDevice { device in
            let script = try Script()
            let address = device.map.base + 64 * 4096
            try script.map(1, device.view(0), at: address)
            #expect(try script("store 1 0 8 0x5a") == "ok")
            let file = try device.open("phys/mem", O_RDONLY)
            let found = try file.seek(0, .data)
            #expect(found <= address)
            #expect(try file.seek(address, .data) == address)
            #expect(try file.read(at: address, count: 8) == [UInt8](repeating: 0x5a, count: 8))
        }
    }

    @Test("The holes of checked are between the memories of two tags") func holesOfChecked() throws {
        try withDevice { device in
            let file = try device.open("phys/checked", O_RDONLY)
            let (base, end) = (device.map.base, device.map.end)
            let tag: UInt64 = 5 << 56
            #expect(throws: Errno(ENXIO)) { try file.seek(0, .data) }
            try device.store([UInt8](repeating: 1, count: Int(end - base)), at: base)
            #expect(try file.seek(0, .data) == base)
            #expect(try file.seek(tag, .data) == tag | base)
            #expect(try file.seek(tag | base + 3, .data) == tag | base + 3)
            #expect(try file.seek(tag | base, .hole) == tag | end)
            #expect(try file.seek(tag | end, .data) == 6 << 56 | base)
            #expect(try file.seek(0xf << 56 | base, .hole) == 0xf << 56 | end)
            #expect(throws: Errno(ENXIO)) { try file.seek(0xf << 56 | end, .data) }
        }
    }

    @Test("A sparse copy has the contents and the holes") func sparseCopy() throws {
        try withDevice(size: "256K") { device in
            var bytes = [UInt8](repeating: 0, count: Int(device.map.size))
            for index in bytes.indices where index % 8192 < 100 { bytes[index] = UInt8(index % 251) }
            try device.store(bytes, at: device.map.base)
            try device.setTag(0xc, at: device.map.base + 4096)
            let directory = try makeTemporaryDirectory()
            defer { unsafe rmdir(directory) }
            let copy = "\(directory)/copy"
            defer { unsafe unlink(copy) }
            for option in ["--sparse=always", "--sparse=auto"] {
                let outcome = try run("cp", [option, device.path("phys/mem"), copy])
                #expect(outcome.succeeded && outcome.errors == "", "\(outcome.errors)")
                let file = try File(copy)
                let found = try file.status()
                #expect(UInt64(found.st_size) == device.map.end)
                #expect(UInt64(found.st_blocks) * 512 <= device.map.size * 2)
                #expect(try file.seek(0, .data) == device.map.base)
                let data = try file.read(at: device.map.base, count: bytes.count)
                #expect(data == bytes)
                let tags = try file.read(at: device.map.tagBase, count: Int(device.map.size / 32))
                #expect(tags == (0..<tags.count).map { (128..<256).contains($0) ? 0xcc : 0 })
            }
        }
    }

    @Test("df and stat -f show all memory") func fileSystemStatistics() throws {
        try withDevice { device in
            let found = try run("stat", ["-f", "-c", "%T %S %b %l", device.mountpoint])
            let pages = (device.map.size + device.map.size / 32) / 4096
            #expect(found.line == "fuseblk 4096 \(pages) 255" || found.line == "fuse 4096 \(pages) 255")
            let disk = try run("df", ["-P", "-k", device.mountpoint])
            #expect(disk.succeeded && disk.output.contains(" \(pages * 4) "))
            #expect(disk.output.contains("tagmem"))
        }
    }

    @Test("meminfo has /proc/meminfo's layout") func memoryAmounts() throws {
        try withDevice { device in
            let text = try contents(of: device.path("meminfo"))
            for line in text.split(separator: "\n") { #expect(line.utf8.count == 39, "\(line)") }
            #expect(text.hasPrefix("MemTotal:                       2112 kB\nDataTotal:"))
            let (data, tags) = (512, 16)
            var expected = [
                "MemTotal": data + tags, "DataTotal": data, "TagStorageTotal": tags, "Free": data + tags,
                "TaggedAvailable": data, "UntaggedAvailable": data + tags, "TagStorageGivenBack": tags,
                "TagStorageGivenBackBest": tags,
            ]
            for name in [
                "Tagged", "Untagged", "TagStorageReserved", "TagStorageReservedBest", "TagStorageReused",
                "Pinned", "AtomicReserve",
            ] {
                expected[name] = 0
            }
            #expect(try device.amounts() == expected)
        }
    }

    @Test("vmstat counts what happens") func countersMove() throws {
        try withDevice { device in
            let before = try device.counters()
            try device.setTag(3, at: device.map.base)
            try device.openView(3).write([1, 2, 3], at: device.map.base)
            _ = try device.openView(3).read(at: device.map.base, count: 16)
            _ = try? device.openView(4).read(at: device.map.base, count: 16)
            _ = try? device.openView(4).write([1], at: device.map.base)
            let touched = try client(["touch", device.view(3), "\(device.map.base)", "store"])
            #expect(touched.line == "ok 0x5a")
            _ = try client(["touch", device.view(4), "\(device.map.base)", "load"])
            #expect(try device.memory(at: device.map.base, count: 3) == [0x5a, 2, 3])
            let after = try device.counters()
            func change(_ name: String) throws -> Int { try #require(after[name]) - #require(before[name]) }
            #expect(try change("tag_writes") == 1)
            #expect(try change("direct_writes") == 3)
            #expect(try change("direct_reads") >= 3)
            #expect(try change("tag_check_faults_load") == 1)
            #expect(try change("tag_check_faults_store") == 1)
            #expect(try change("tag_check_faults_map") == 1)
            #expect(try change("tag_check_faults") == 3)
            #expect(try change("tag_check_faults_async") == 0)
            #expect(try change("page_fills") >= 2)
            #expect(try change("page_writebacks") >= 1)
            #expect(try change("requests") >= 15)
            #expect(Set(after.keys) == Set(before.keys) && after.keys.contains("fault_log_dropped"))
        }
    }
}
