import Glibc
import TagMemCore
import Testing

@testable import TagMemFS

@Suite("FaultLog") struct FaultLogTests {
    let counters = Counters()
    let log: FaultLog
    static let time = timespec()

    init() { log = FaultLog(counters: counters) }

    static func fault(
        _ access: TagCheckFault.Access = .load, mode: TagCheckMode = .sync, command: String = "a.out"
    ) -> TagCheckFault {
        TagCheckFault(
            mode: mode, access: access, object: "phys", view: "3", offset: 0x20010, size: 8,
            addressTag: AddressTag(truncating: 3), allocationTag: AllocationTag(truncating: 5),
            client: Client(pid: 42, command: command))
    }

    private var everything: String { String(decoding: log.read(at: 0, size: .max).bytes, as: UTF8.self) }

    @safe
    final class Reader: PipeRead, @unchecked Sendable {
        let size: Int
        let waits: Bool
        var isInterrupted = false
        var isGone = false
        let identity: RequestToken
        private(set) var texts: [String] = []
        private(set) var errors: [FileError] = []

        init(_ number: Int = 1, size: Int = 4096, waits: Bool = true) {
            self.size = size
            self.waits = waits
            identity = RequestToken(rawValue: UInt(number))
        }

        func succeed(_ bytes: [UInt8]) -> Bool {
            if isGone { return false }
            texts.append(String(decoding: bytes, as: UTF8.self))
            return true
        }

        func fail(_ error: FileError) { errors.append(error) }
    }

    final class Watcher: FaultWatcher, @unchecked Sendable {
        var calls = 0
        func faultsWereRecorded() { calls += 1 }
    }

    @Test("faults are counted by what they were")
    func counts() {
        log.record(Self.fault(.load))
        log.record(Self.fault(.store))
        log.record(Self.fault(.store, mode: .asymm))
        log.record(Self.fault(.load, mode: .asymm))
        log.record(Self.fault(.load, mode: .async))
        log.record(Self.fault(.map))
        #expect(counters[.faults] == 6)
        #expect(counters[.faultsLoad] == 3)
        #expect(counters[.faultsStore] == 2)
        #expect(counters[.faultsMap] == 1)
        #expect(counters[.faultsAsync] == 2)
        #expect(everything.split(separator: "\n").count == 6)
    }

    @Test("the log keeps whole lines up to its capacity, and counts what it drops")
    func ring() throws {
        let line = Self.fault().line(sequence: 100_000, time: .init()).utf8.count
        let count = FaultLog.capacity / line * 3
        for _ in 0..<count { log.record(Self.fault()) }
        let (start, end) = log.extent
        #expect(end - start <= FaultLog.capacity)
        #expect(end - start > FaultLog.capacity / 3)
        let (position, bytes) = log.read(at: 0, size: .max)
        #expect(position == start && bytes.count == end - start)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let first = count - lines.count
        #expect(counters[.faultsDropped] == first)
        for (index, line) in lines.enumerated() where !line.hasPrefix("seq=\(first + index) ") {
            Issue.record("line \(index) of the log is \(line)")
        }
        #expect(bytes.last == UInt8(ascii: "\n"))
        // Positions stay what they were; behind the end there is nothing.
        #expect(log.read(at: end - 10, size: 4).bytes == Array(bytes.suffix(10).prefix(4)))
        #expect(log.read(at: end + 5, size: 4) == (end, []))
    }

    @Test("each line of the pipe goes to one reader, whole")
    func pipe() {
        for _ in 0..<5 { log.record(Self.fault()) }
        let lineLength = everything.utf8.count / 5
        #expect(log.hasUnconsumed)
        let small = Reader(size: lineLength * 2 + 10)
        log.consume(small)
        #expect(small.texts[0].utf8.count == lineLength * 2)
        // What is smaller than a line gets parts of one.
        let tiny = Reader(size: 10)
        log.consume(tiny)
        log.consume(tiny)
        let rest = Reader()
        log.consume(rest)
        #expect((small.texts + tiny.texts + rest.texts).joined() == everything)
        #expect(!log.hasUnconsumed)
        let hurried = Reader(waits: false)
        log.consume(hurried)
        #expect(hurried.errors == [.wouldBlock])
        // The other file still has everything.
        #expect(everything.split(separator: "\n").count == 5)
    }

    @Test("readers that wait are served in turn")
    func waiting() {
        let readers = [Reader(1), Reader(2)]
        for reader in readers { log.consume(reader) }
        #expect(readers.allSatisfy { $0.texts.isEmpty && $0.errors.isEmpty })
        log.record(Self.fault())
        #expect(readers[0].texts.count == 1 && readers[1].texts.isEmpty)
        log.record(Self.fault())
        #expect(readers.flatMap(\.texts).joined() == everything)
    }

    @Test("an interruption ends its reader's wait, before or after it began")
    func interruption() throws {
        let (early, late, other) = (Reader(1), Reader(2), Reader(3))
        early.isInterrupted = true
        log.consume(early)
        #expect(early.errors == [.interrupted])
        log.consume(late)
        log.consume(other)
        log.interrupt(late.identity)
        log.interrupt(early.identity)
        #expect(late.errors == [.interrupted])
        log.record(Self.fault())
        #expect(late.texts.isEmpty && other.texts.count == 1)
        #expect(early.errors.count == 1)
    }

    @Test("the lines of a reader that is gone are the next one's")
    func pushBack() {
        let (gone, next) = (Reader(1), Reader(2))
        gone.isGone = true
        log.record(Self.fault())
        log.consume(gone)
        #expect(log.hasUnconsumed)
        log.consume(next)
        #expect(next.texts.joined() == everything)
    }

    @Test("and so they are if that one waits already")
    func pushBackToWaiting() {
        let (gone, alsoGone, next) = (Reader(1), Reader(2), Reader(3))
        gone.isGone = true
        alsoGone.isGone = true
        for reader in [gone, alsoGone, next] { log.consume(reader) }
        log.record(Self.fault())
        #expect(next.texts.joined() == everything)
        #expect(!log.hasUnconsumed)
    }

    @Test("unmounting ends all waits")
    func drain() {
        let reader = Reader()
        log.consume(reader)
        log.drain()
        log.record(Self.fault())
        #expect(reader.errors == [.unmounting] && reader.texts.isEmpty)
    }

    @Test("a watcher is called at every fault, until it stops") func watchers() {
        let (watcher, stopped) = (Watcher(), Watcher())
        log.record(Self.fault())
        log.watch(watcher)
        log.watch(watcher)
        log.watch(stopped)
        log.stopWatching(stopped)
        #expect(watcher.calls == 0)
        for count in 1...3 {
            log.record(Self.fault())
            #expect(watcher.calls == count && stopped.calls == 0)
        }
        log.stopWatching(watcher)
        log.record(Self.fault())
        #expect(watcher.calls == 3)
    }
}

@Suite("TagCheckFault") struct TagCheckFaultTests {
    @Test("the line says everything, in logfmt")
    func line() {
        var time = FaultLogTests.time
        time.tv_sec = 1_700_000_000
        time.tv_nsec = 1_002_003
        #expect(
            FaultLogTests.fault(.store, mode: .asymm).line(sequence: 7, time: time)
                == "seq=7 time=2023-11-14T22:13:20.001002Z mode=asymm access=store object=phys view=3"
                + " offset=0x20010 size=8 address_tag=3 allocation_tag=5 pid=42 comm=a.out"
                + " fault_address=0x300000000020010\n")
    }

    @Test(
        "a command's name cannot forge a field or a line",
        arguments: [
            ("plain-1.2", "plain-1.2"), ("", "\"\""), ("two words", "\"two words\""), ("a=b", "\"a=b\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""), ("back\\slash it", "\"back\\\\slash it\""),
            ("line\nseq=9", "\"line?seq=9\""), ("\u{1b}[2J", "\"?[2J\""), ("\u{7f}", "\"?\""),
            ("é", "\"??\""),
        ])
    func quoting(_ command: String, _ expected: String) {
        let line = FaultLogTests.fault(command: command).line(sequence: 0, time: FaultLogTests.time)
        #expect(line.contains(" comm=\(expected) fault_address="))
        #expect(line.filter { $0 == "\n" }.count == 1)
    }

    @Test("the client is the process of the thread; of no thread nothing is known")
    func client() {
        #expect(Client(thread: getpid()).pid == getpid())
        #expect(!Client(thread: getpid()).command.isEmpty)
        #expect(Client(thread: 0).pid == 0)
        #expect(Client(thread: .max).command.isEmpty)
        #expect(Client(thread: .max).pid == .max)
    }
}
