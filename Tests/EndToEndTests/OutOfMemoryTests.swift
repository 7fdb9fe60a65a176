import Glibc
import Testing

@Suite("Out of memory", .timeLimit(.minutes(2)))
struct OutOfMemoryTests {
    @Test("It is ENOSPC, said once, counted, and everything goes on") func fullDevice() throws {
        try withDevice(size: "1M", runsOut: true) { device in
            #expect(device.daemon.errors == "")
            let file = try device.make("untagged/u", pages: 200, seed: 1)
            let tagged = try device.make("tagged/t", pages: 62, seed: 2)
            #expect(try device.amount("Free") == 0)
            let oom = try device.counter("oom")
            for round in 1...20 {
                #expect(throws: Errno(ENOSPC)) { try file.truncate(201 * 4096) }
                #expect(throws: Errno(ENOSPC)) { try tagged.write([1], at: 62 * 4096) }
                #expect(try device.counter("oom") == oom + 2 * round)
            }
            #expect(eventually { device.daemon.errors == Device.outOfMemory })
            #expect(try file.size == 200 * 4096 && tagged.size == 62 * 4096)
            // What needs no page works.
            #expect(try file.write([1, 2, 3], at: 100) == 3)
            try device.make("tagged/empty")
            try device.move("tagged/empty", to: "untagged/empty")
            try device.setKnob("compact", "1")
            try device.open("tagged/t/tags").write([0x33], at: 0)
            // And a page that comes back is had at once.
            for _ in 0..<50 {
                try file.truncate(199 * 4096)
                #expect(try file.write([7], at: 199 * 4096) == 1)
            }
            try tagged.truncate(30 * 4096)
            try file.truncate(233 * 4096)
            #expect(try device.amount("Free") == 0)
            #expect(try tagged.firstPageUnlike(2, pages: 30) == nil)
        }
    }

    @Test("What no device of this size could have is counted, too") func tooLarge() throws {
        try withDevice(size: "1M", runsOut: true) { device in
            let script = try Script()
            for (number, object) in ["untagged/u", "tagged/t"].enumerated() {
                let file = try device.make(object, pages: 1, seed: 1)
                let far = 1 << 40
                #expect(throws: Errno(ENOSPC)) { try file.truncate(far) }
                #expect(throws: Errno(ENOSPC)) { try file.write([1], at: UInt64(far)) }
                #expect(try script.allocate(device.path("\(object)/mem"), 0, at: 0, count: far) == "ENOSPC")
                #expect(try device.counter("oom") == 3 * (number + 1))
                #expect(try file.size == 4096 && file.firstPageUnlike(1, pages: 1) == nil)
            }
        }
    }

    @Test("A write that has room for a part of it changes nothing") func partOfAWrite() throws {
        try withDevice(size: "1M", runsOut: true) { device in
            try device.make("untagged/u", pages: 250)
            let file = try device.make("tagged/t", pages: 3, seed: 1)
            #expect(try device.available("tagged") == 10)
            #expect(throws: Errno(ENOSPC)) {
                try file.write([UInt8](repeating: 1, count: 20 * 4096), at: 2 * 4096)
            }
            #expect(try file.size == 3 * 4096 && file.firstPageUnlike(1, pages: 3) == nil)
            #expect(try device.available("tagged") == 10)
            #expect(try file.write([UInt8](repeating: 1, count: 11 * 4096), at: 2 * 4096) == 11 * 4096)
            #expect(try device.available("tagged") == 0)
            let copied = try run("cp", ["/proc/self/exe", device.path("tagged/t/mem")])
            #expect(copied.ending == .exited(1) && copied.errors.contains("No space left on device"))
        }
    }

    @Test("A hole that cannot be filled is SIGBUS for stores, and zeros for loads by read")
    func holesWhenFull() throws {
        try withDevice(size: "1M", runsOut: true) { device in
            let file = try device.make("untagged/u", pages: 8, seed: 1)
            let script = try Script()
            let path = device.path("untagged/u/mem")
            try script.punch(path, at: 2 * 4096, count: 2 * 4096)
            try script.map(0, path, at: 0, length: 8 * 4096)
            let rest = try device.make("untagged/rest", pages: 258)
            #expect(try script("store 0 \(2 * 4096) 1 1").hasPrefix("SIGBUS"))
            #expect(throws: Errno(ENOSPC)) { try file.write([1], at: 3 * 4096) }
            #expect(try file.read(at: 2 * 4096, count: 8192).allSatisfy { $0 == 0 })
            #expect(try script("load 0 \(4 * 4096 + 8)") == "0x01")
            try rest.truncate(257 * 4096)
            #expect(try script("store 0 \(2 * 4096) 1 1") == "ok")
            #expect(try script("store 0 \(3 * 4096) 1 1").hasPrefix("SIGBUS"))
            try rest.truncate(0)
            #expect(try script("store 0 \(3 * 4096) 1 2") == "ok")
            #expect(try file.read(at: 3 * 4096, count: 2) == [2, 0])
        }
    }

    @Test("Two that want more than there is: one gets it, the other ENOSPC, nothing is left over") func race()
        throws
    {
        try withDevice(size: "1M", runsOut: true) { device in
            for _ in 0..<10 {
                for name in ["a", "b"] { try device.make("untagged/\(name)") }
                let programs = try ["a", "b"].map {
                    try Program("truncate", ["-s", "\(180 * 4096)", device.path("untagged/\($0)/mem")])
                }
                let endings = programs.map { $0.finish().ending }
                #expect(endings.contains(.exited(0)) && endings.contains(.exited(1)))
                #expect(try device.amount("Untagged") == 180)
                for name in ["a", "b"] { try device.remove("untagged/\(name)") }
                try device.expectAllFree()
            }
        }
    }
}
