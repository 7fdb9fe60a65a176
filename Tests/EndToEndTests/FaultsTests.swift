import Glibc
import Testing

@Suite("The fault log and its pipe", .timeLimit(.minutes(2)))
struct FaultsTests {
    /// Makes that many faults.
    private func provoke(_ device: Device, _ count: Int = 1) throws {
        let view = try device.openView(1, O_WRONLY)
        for _ in 0..<count { #expect(throws: Errno(EFAULT)) { try view.write([1], at: device.map.base) } }
    }

    @Test("tail -f sees new lines") func tail() throws {
        try withDevice { device in
            try provoke(device)
            let tail = try Program("tail", ["-n", "+1", "-f", device.path("faults")])
            #expect(eventually { tail.output.contains("seq=0 ") })
            try provoke(device, 3)
            #expect(eventually { tail.output.contains("seq=3 ") })
            #expect(tail.output.split(separator: "\n").count == 4)
            tail.kill()
            _ = tail.wait(seconds: 5)
        }
    }

    @Test("The log's size grows with it, and it can be read again") func size() throws {
        try withDevice { device in
            #expect(try status(of: device.path("faults")).st_size == 0)
            try provoke(device, 5)
            let text = try contents(of: device.path("faults"))
            #expect(try status(of: device.path("faults")).st_size == text.utf8.count)
            #expect(try contents(of: device.path("faults")) == text)
            let file = try device.open("faults", O_RDONLY)
            #expect(try file.read(at: 10, count: 20) == Array(Array(text.utf8)[10..<30]))
            #expect(try file.read(at: UInt64(text.utf8.count), count: 20) == [])
        }
    }

    @Test("poll waits for a line behind what was read", arguments: ["faults", "faults_pipe"])
    func poll(name: String) throws {
        try withDevice { device in
            let file = try device.open(name, O_RDONLY | O_NONBLOCK)
            #expect(try file.poll(within: 0.05) == 0)
            try provoke(device)
            #expect(try file.poll(within: 5) & POLLIN != 0)
            _ = try file.next()
            #expect(try file.poll(within: 0.05) == 0)
            // Somebody who waits is woken.
            let start = now()
            let later = "sleep 0.3; exec \"$0\" access \"$1\" \(device.map.base) write 1"
            let program = try Program("sh", ["-c", later, clientProgram, device.view(2)])
            #expect(try file.poll(within: 10) & POLLIN != 0)
            #expect(now() - start >= 0.25)
            #expect(program.finish().line == "EFAULT")
        }
    }

    @Test("Who waits for edges is told of every fault", arguments: ["faults", "faults_pipe"])
    func edges(name: String) throws {
        try withDevice { device in
            let script = try Script()
            #expect(try script("open 1 \(device.path(name)) r") == "ok")
            #expect(try script("edges 1") == "ok")
            #expect(try script("events 50") == "0")
            // Whether it reads what there is or not.
            let pipe = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            for round in 0..<6 {
                try provoke(device)
                #expect(try script("events 5000") == "1", "round \(round)")
                if round % 2 == 1 {
                    if name == "faults" { _ = try script("read 1 0 100000") } else { _ = try pipe.rest() }
                }
                #expect(try script("events 50") == "0", "round \(round)")
            }
        }
    }

    @Test("mlock of a refused page is one fault, costs others little, and ends with the program", .needsRoot)
    func lockedMapping() throws {
        try withDevice { device in
            let script = try Script()
            try script.map(1, device.view(2), at: device.map.base)
            let before = try device.counters()
            let start = now()
            try script.begin("lock 1")
            sleep(3)
            let after = try device.counters()
            func change(_ name: String) throws -> Int {
                try #require(after[name]) - (try #require(before[name]))
            }
            #expect(try change("tag_check_faults") == 1)
            #expect(try Double(change("requests")) / (now() - start) < 500)
            // It goes on when it may.
            try device.setTag(2, at: device.map.base)
            #expect(try script.end(within: 2) == "ok")
            try device.setTag(3, at: device.map.base)
            try script.begin("lock 1")
            #expect(try script.program.outputPipe?.poll(within: 0.5) == 0)
            let killed = now()
            script.program.kill()
            #expect(script.program.wait(seconds: 5) != nil && now() - killed < 1)
        }
    }

    @Test("A program that takes SIGBUS and tries again makes a fault each time") func repeatedTouches() throws
    {
        try withDevice { device in
            let script = try Script()
            try script.map(1, device.view(2), at: device.map.base)
            for _ in 0..<40 { #expect(try script("load 1 0").hasPrefix("SIGBUS")) }
            #expect(try device.counter("tag_check_faults") == 40)
        }
    }

    @Test("A read of the pipe waits for a line, and takes it") func blockingRead() throws {
        try withDevice { device in
            let reader = try Program("head", ["-n", "2", device.path("faults_pipe")])
            #expect(reader.wait(seconds: 0.2) == nil)
            try provoke(device)
            #expect(reader.wait(seconds: 0.2) == nil)
            try provoke(device)
            let outcome = reader.finish(within: 5)
            #expect(outcome.succeeded)
            #expect(FaultLine.parse(outcome.output).map { $0?.sequence } == [0, 1])
            // Consumed there, and still in the log.
            let pipe = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            #expect(throws: Errno(EAGAIN)) { try pipe.next() }
            #expect(try device.faults().count == 2)
        }
    }

    @Test("Each line is read once") func consumedOnce() throws {
        try withDevice { device in
            try provoke(device, 6)
            let first = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            let second = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            // Whole lines, as many as there is room for.
            let length = try contents(of: device.path("faults")).utf8.count / 6
            var sequences: [Int] = []
            for file in [first, second, first] {
                let text = String(decoding: try file.next(length * 2 + 20), as: UTF8.self)
                #expect(text.hasSuffix("\n"))
                sequences += try FaultLine.parse(text).map { try #require($0).sequence }
            }
            #expect(sequences == Array(0..<6))
            #expect(throws: Errno(EAGAIN)) { try second.next() }
            // No room for a line: it comes in parts.
            try provoke(device)
            let bytes = try first.rest(50)
            #expect(FaultLine.parse(String(decoding: bytes, as: UTF8.self)).map { $0?.sequence } == [6])
            #expect(throws: Errno(ESPIPE)) { try first.seek(0, .set) }
        }
    }

    @Test("Two readers share the lines") func twoReaders() throws {
        try withDevice { device in
            let readers = try (0..<2).map { _ in
                try Program("dd", ["if=\(device.path("faults_pipe"))", "bs=64k", "count=1", "status=none"])
            }
            #expect(readers[0].wait(seconds: 0.2) == nil)
            try provoke(device)
            #expect(eventually { readers.contains { $0.poll() != nil } })
            try provoke(device)
            var sequences: [Int?] = []
            for reader in readers {
                sequences += FaultLine.parse(reader.finish().output).map { $0?.sequence }
            }
            #expect(Set(sequences) == [0, 1] && sequences.count == 2)
        }
    }

    @Test("A signal ends the wait for a line") func interrupted() throws {
        try withDevice { device in
            let outcome = try client(["interrupt", device.path("faults_pipe")])
            #expect(outcome.succeeded && outcome.line == "ok interrupt", "\(outcome.output)")
            // What killed readers waited for is not lost.
            try provoke(device)
            let pipe = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            let text = String(decoding: try pipe.next(), as: UTF8.self)
            #expect(FaultLine.parse(text).map { $0?.sequence } == [0])
        }
    }

    @Test("Old lines are dropped, counted, and skipped over") func bounded() throws {
        try withDevice(limit: 100) { device in
            try provoke(device, 100)
            let early = try device.open("faults", O_RDONLY)
            let begin = String(decoding: try early.next(1 << 12), as: UTF8.self)
            let pipe = try device.open("faults_pipe", O_RDONLY | O_NONBLOCK)
            let total = 14_000
            try provoke(device, total - 100)
            let text = try contents(of: device.path("faults"))
            #expect((1 << 18...1 << 20).contains(text.utf8.count))
            let lines = try FaultLine.parse(text).map { try #require($0) }
            let dropped = try #require(try device.counters()["fault_log_dropped"])
            #expect(dropped > 5000 && lines.count == total - dropped)
            #expect(lines.map(\.sequence) == Array(dropped..<total))
            // The pipe has lost the same.
            let pipeText = String(decoding: try pipe.rest(), as: UTF8.self)
            let piped = try FaultLine.parse(pipeText).map { try #require($0).sequence }
            try #require(piped.count == total - dropped)
            #expect(piped == Array(dropped..<total))
            // A reader that was in the middle of a dropped line goes on with a whole one.
            let rest = String(decoding: try early.rest(), as: UTF8.self)
            let later = try FaultLine.parse(rest).map { try #require($0, "\(rest.prefix(200))").sequence }
            #expect(later == Array(dropped..<total))
            let earlier = FaultLine.parse(begin).compactMap { $0 }.filter { $0.keys.last == "fault_address" }
            #expect(earlier.map(\.sequence).dropLast() == ArraySlice(0..<earlier.count - 1))
            // A reader from the beginning, in small pieces, while lines are dropped.
            let slow = try device.open("faults", O_RDONLY)
            var bytes: [UInt8] = []
            for _ in 0..<200 {
                bytes += try slow.next(300)
                try provoke(device, 50)
            }
            bytes += try slow.rest()
            let all = FaultLine.parse(String(decoding: bytes, as: UTF8.self))
            let end = total + 200 * 50
            #expect(all.last??.sequence == end - 1)
            let gone = try #require(try device.counters()["fault_log_dropped"])
            #expect(all.count + gone >= end - dropped)
        }
    }
}
