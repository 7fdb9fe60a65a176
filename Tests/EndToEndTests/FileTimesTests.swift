import Glibc
import Testing

@Suite("Times and set-ID bits", .timeLimit(.minutes(1)))
struct FileTimesTests {
    /// What `body` does to the modification and status change times of the files: whether they are later than before.
    private func moved(
        _ device: Device, _ names: [String], by body: () throws -> Void
    ) throws -> [(modified: Bool, changed: Bool)] {
        func times() throws(Errno) -> [stat] {
            var found: [stat] = []
            for name in names { found.append(try status(of: device.path(name))) }
            return found
        }
        let before = try times()
        // A tick of the coarse clock.
        usleep(20_000)
        try body()
        let after = try times()
        func isLater(_ new: timespec, _ old: timespec) -> Bool {
            (new.tv_sec, new.tv_nsec) > (old.tv_sec, old.tv_nsec)
        }
        return zip(before, after).map { ($1.st_mtim, $0.st_mtim, $1.st_ctim, $0.st_ctim) }
            .map { (isLater($0, $1), isLater($2, $3)) }
    }

    private static let memory = ["mem", "views/0", "views/f", "checked"]
    private static let tags = ["tags", "tags.hex"]

    @Test(
        "All that shows an object's bytes moves with them, by whatever they are changed",
        arguments: [false, true])
    func contents(isPhysical: Bool) throws {
        try withDevice { device in
            let object = isPhysical ? "phys" : "tagged/a"
            let start = isPhysical ? device.map.base : 0
            if !isPhysical { try device.make(object, pages: 4, seed: 1) }
            let memory = Self.memory.map { "\(object)/\($0)" }
            let tags = Self.tags.map { "\(object)/\($0)" }
            func expect(memory isMemory: Bool, tags isTags: Bool, _ body: () throws -> Void) throws {
                let found = try moved(device, memory + tags, by: body)
                for (index, name) in (memory + tags).enumerated() {
                    // Tag storage is a part of phys: one time for all of it.
                    let expected = isPhysical ? isMemory || isTags : index < memory.count ? isMemory : isTags
                    #expect(found[index].modified == expected && found[index].changed == expected, "\(name)")
                }
            }
            try expect(memory: true, tags: false) { try device.open("\(object)/mem").write([1], at: start) }
            try expect(memory: true, tags: false) {
                try device.open("\(object)/views/0").write([1], at: start)
            }
            try expect(memory: true, tags: false) {
                try device.open("\(object)/checked").write([1], at: start)
            }
            try expect(memory: false, tags: true) {
                try device.open("\(object)/tags").write([0], at: start / 32)
            }
            // Reads, and writes that are refused, change nothing.
            try expect(memory: false, tags: false) {
                _ = try device.open("\(object)/mem").read(at: start, count: 4096)
                #expect(throws: Errno(EFAULT)) { try device.open("\(object)/views/1").write([1], at: start) }
            }
            let script = try Script()
            try script.map(1, device.path("\(object)/views/0"), at: start)
            try expect(memory: true, tags: false) {
                let answers = (try script("store 1 0 1 7"), try script("msync 1"))
                #expect(answers == ("ok", "ok"))
            }
            if isPhysical { return }
            try expect(memory: true, tags: true) { try device.open("\(object)/mem").truncate(8 * 4096) }
            try expect(memory: true, tags: true) { try device.open("\(object)/mem").truncate(2 * 4096) }
            try expect(memory: true, tags: true) {
                try script.punch(device.path("\(object)/mem"), at: 0, count: 4096)
            }
        }
    }

    @Test(
        "Who looks after a change through another file sees it, also while others look",
        arguments: [false, true], [false, true])
    func keptAttributes(isPhysical: Bool, othersLook: Bool) throws {
        try withDevice { device in
            let object = isPhysical ? "phys" : "tagged/a"
            let start = isPhysical ? device.map.base : 0
            if !isPhysical { try device.make(object, pages: 4, seed: 1) }
            let names = Self.memory + Self.tags
            let files = try names.map { try device.open("\(object)/\($0)") }
            let script = try Script()
            try script.map(1, device.path("\(object)/views/0"), at: start)
            let paths = names.map { device.path("\(object)/\($0)") }.joined(separator: " ")
            let others =
                try othersLook ? Program("sh", ["-c", "while stat \(paths) >/dev/null; do :; done"]) : nil
            defer { withExtendedLifetime(others) {} }
            let old = [timespec(tv_sec: 77, tv_nsec: 0), timespec(tv_sec: 77, tv_nsec: 0)]
            let changes: [(name: String, body: () throws -> Void)] =
                names.enumerated().filter { $0.element != "views/f" }.map { index, name in
                    let scale: UInt64 = name == "tags" ? 32 : name == "tags.hex" ? 16 : 1
                    let byte = name == "tags.hex" ? UInt8(ascii: "0") : 0
                    return (name, { try files[index].write([byte], at: start / scale) })
                } + [("msync", { for line in ["store 1 0 1 7", "msync 1"] { _ = try script(line) } })]
            for _ in 0..<20 {
                for (name, body) in changes {
                    for file in files {
                        try check { unsafe futimens(file.descriptor, old) }
                        // What the kernel is told by this it keeps.
                        #expect(try file.status().st_mtim.tv_sec == 77)
                    }
                    try body()
                    for (index, file) in files.enumerated() {
                        let isMoved =
                            isPhysical || Self.tags.contains(name) == Self.tags.contains(names[index])
                        #expect(
                            try (file.status().st_mtim.tv_sec > 77) == isMoved, "\(name), \(names[index])")
                    }
                }
            }
        }
    }

    @Test("Sizes, blocks and links are as they are after every change of an object") func keptSizes() throws {
        try withDevice { device in
            for pages in 1..<30 {
                try device.make("tagged/a", pages: 1, seed: 1)
                let files = try ["mem", "views/0", "tags", "tags.hex"].map {
                    try device.open("tagged/a/\($0)")
                }
                func expect(pages: Int, blocks: Int) throws {
                    let size = off_t(pages * 4096)
                    let found = try files.map { try $0.status() }
                    #expect(found.map(\.st_size) == [size, size, size / 32, size / 16])
                    #expect(found.map(\.st_blocks) == [blkcnt_t(blocks * 8), 0, 0, 0])
                }
                try expect(pages: 1, blocks: 1)
                try files[0].truncate((pages + 2) * 4096)
                try expect(pages: pages + 2, blocks: pages + 2)
                try Script().punch(device.path("tagged/a/mem"), at: 4096, count: 4096)
                try expect(pages: pages + 2, blocks: pages + 1)
                // A write gets the page back.
                try files[1].write([1], at: 4096)
                try expect(pages: pages + 2, blocks: pages + 2)
                try files[0].truncate(pages * 4096)
                try expect(pages: pages, blocks: pages)
                try files[0].write([1], at: UInt64(pages * 4096 + 4095))
                try expect(pages: pages + 1, blocks: pages + 1)
                #expect(try files.map { try $0.status().st_nlink } == [1, 1, 1, 1])
                try device.remove("tagged/a")
                #expect(try files.map { try $0.status().st_nlink } == [0, 0, 0, 0])
            }
        }
    }

    @Test("chmod moves ctime alone; mkdir, rmdir and rename move their directory") func others() throws {
        try withDevice { device in
            try device.make("tagged/a", pages: 1)
            let mode = try moved(device, ["phys/mem", "tagged/a/mem", "vmstat"]) {
                for name in ["phys/mem", "tagged/a/mem", "vmstat"] {
                    try check { unsafe chmod(device.path(name), 0o640) }
                }
            }
            for found in mode { #expect(!found.modified && found.changed) }
            func expectMoved(_ names: [String], _ body: () throws -> Void) throws {
                for found in try moved(device, names, by: body) { #expect(found.modified && found.changed) }
            }
            try expectMoved(["tagged"]) { try device.make("tagged/b") }
            try expectMoved(["tagged"]) { try device.remove("tagged/b") }
            try expectMoved(["tagged", "untagged"]) { try device.move("tagged/a", to: "untagged/a") }
        }
    }

    @Test("cp -u copies what changed since") func update() throws {
        try withDevice { device in
            let file = try device.make("untagged/a", pages: 1, seed: 1)
            let directory = try makeTemporaryDirectory()
            defer { _ = try? run("rm", ["-rf", directory]) }
            func copy() throws -> [UInt8] {
                let outcome = try run(
                    "cp", ["-u", "--preserve=timestamps", device.path("untagged/a/mem"), directory])
                #expect(outcome.succeeded)
                return try File("\(directory)/mem").readAll(4096)
            }
            #expect(try copy() == pattern(1, pages: 1))
            usleep(20_000)
            try file.writeAll(pattern(2, pages: 1))
            #expect(try copy() == pattern(2, pages: 1))
        }
    }

    @Test("A time that was set is as it was set until the next write, however soon") func setTimes() throws {
        try withDevice { device in
            let file = try device.make("untagged/a", pages: 1)
            for _ in 0..<20 {
                try file.write([1], at: 0)
                let old = [timespec(tv_sec: 77, tv_nsec: 5), timespec(tv_sec: 77, tv_nsec: 6)]
                try check { unsafe futimens(file.descriptor, old) }
                #expect(try file.status().st_mtim.tv_nsec == 6)
                try file.write([1], at: 0)
                #expect(try file.status().st_mtim.tv_sec > 77)
            }
        }
    }

    @Test("Writes, truncation and chown of others take the set-ID bits away", .needsRoot) func setID() throws
    {
        try withDevice(mountOptions: ["allow_other"]) { device in
            try check { unsafe chmod(device.mountpoint, 0o755) }
            try device.make("tagged/a", pages: 1)
            func modeAfter(_ command: String, _ file: String) throws -> mode_t {
                let path = device.path(file)
                try check { unsafe chown(path, 1000, 1000) }
                try check { unsafe chmod(path, 0o6777) }
                let user = ["--reuid", "1000", "--regid", "1000", "--clear-groups", "sh", "-c", command]
                let outcome = try run("setpriv", user, environment: ["F": path, "PWD": "/"])
                #expect(outcome.succeeded, "\(outcome.errors)")
                return try status(of: path).st_mode & 0o7777
            }
            #expect(try modeAfter("cd /; printf x 1<> $F", "tagged/a/views/0") == 0o777)
            #expect(try modeAfter("cd /; printf x 1<> $F", "tagged/a/mem") == 0o777)
            #expect(try modeAfter("cd /; printf sync 1<> $F", "tagged/a/mode") == 0o777)
            #expect(try modeAfter("cd /; truncate -s 4096 $F", "tagged/a/mem") == 0o777)
            #expect(try modeAfter("cd /; chgrp 1000 $F", "tagged/a/mem") == 0o777)
            // Not those of reads, and not by root.
            #expect(try modeAfter("cd /; head -c 1 $F", "tagged/a/mem") == 0o6777)
            try device.open("tagged/a/mem").write([1], at: 0)
            #expect(try status(of: device.path("tagged/a/mem")).st_mode & 0o7777 == 0o6777)
        }
    }
}
