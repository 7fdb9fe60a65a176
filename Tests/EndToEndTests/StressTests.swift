import Glibc
import TestSupport
import Testing

/// How long each of the longer tests runs, in seconds: the environment's `TAGMEMD_STRESS_SECONDS`, or 6.
private let stressSeconds: Int = {
    // SAFETY: the result of `getenv` is copied at once, and no test changes the environment.
    guard let text = unsafe getenv("TAGMEMD_STRESS_SECONDS").map({ unsafe String(cString: $0) }) else {
        return 6
    }
    guard let seconds = Int(text), seconds > 0 else {
        preconditionFailure("TAGMEMD_STRESS_SECONDS=\(text) is not a number of seconds")
    }
    return seconds
}()

/// The client's tests, each with a device of the default map, which the client knows.
@Suite("Stress: the client's tests of concurrent access", .serialized, .timeLimit(.minutes(60)))
struct StressTests {
    private func stress(_ device: Device, seed: UInt64, pages: Int = 6, _ options: [String]) throws {
        let arguments = [
            "stress", device.path("phys"), "0x40100000", "\(pages)", "\(stressSeconds)",
            "\(seed % 1_000_000)",
        ]
        let outcome = try client(arguments + options, timeout: Double(stressSeconds + 70))
        #expect(outcome.succeeded && outcome.output.contains("ok stress"), "\(outcome.output)")
        #expect(try device.mode() == "sync\n")
    }

    @Test(
        "Nothing is lost, refused or let through wrongly", .repeatable,
        arguments: [
            ["--mode", "sync", "--kill"], ["--mode", "async"], ["--mode", "asymm"], ["--mode", "none"],
        ])
    func modes(options: [String]) throws {
        try withDevice(size: "1G", limit: Double(stressSeconds + 100)) { device in
            try withSeed { try stress(device, seed: $0.next(), options) }
        }
    }

    /// To one page, so that its contents and the writes to it cross all the time.
    @Test(
        "The same in page cache mode, with a thread that is slow", .repeatable, arguments: ["none", "async"])
    func pageCache(mode: String) throws {
        let limit = Double(stressSeconds + 100)
        try withDevice(size: "1G", mountOptions: ["page_cache"], limit: limit) { device in
            try device.slowThread()
            try withSeed {
                try stress(
                    device, seed: $0.next(), pages: 1, ["--page-cache", "--processes", "9", "--mode", mode])
            }
        }
    }

    @Test(
        "Objects that grow, shrink, turn and go under many users keep every byte", .repeatable,
        arguments: [("2M", ["--kill"]), ("1M", ["--objects", "3", "--processes", "3"])])
    func objects(size: String, options: [String]) throws {
        try withDevice(size: size, runsOut: true, limit: Double(stressSeconds + 130)) { device in
            try withSeed {
                let arguments = [
                    "objects", device.mountpoint, "\(stressSeconds)", "\($0.next() % 1_000_000)",
                ]
                let outcome = try client(arguments + options, timeout: Double(stressSeconds + 100))
                #expect(outcome.succeeded && outcome.output.contains("ok objects"), "\(outcome.output)")
            }
            // Memory may have been short; now it is.
            #expect(throws: Errno(ENOSPC)) {
                try device.make("untagged/all", pages: try device.available("untagged"))
                try device.make("untagged/more", pages: 1)
            }
        }
    }

    @Test("A byte that is lost is seen by the client") func lostObjectBytes() throws {
        try withDevice { device in
            let outcome = try client(["objects", device.mountpoint, "5", "1", "--lose", "50"])
            #expect(
                outcome.ending == .exited(1) && outcome.output.contains("lost bytes"), "\(outcome.output)")
        }
    }

    @Test("System calls of every kind stop at the same byte") func vectors() throws {
        try withDevice(limit: 100) { device in
            let outcome = try client(["vectors", device.path("phys"), "0x40010000"])
            #expect(outcome.succeeded && outcome.line == "ok vectors", "\(outcome.output)")
        }
    }

    @Test("Many requests at once, by threads and by io_uring") func asynchronousRequests() throws {
        try withDevice(size: "16M", limit: 150) { device in
            let outcome = try client(
                ["aio", device.path("phys"), "0x40000000", "16", "\(min(stressSeconds, 60))"], timeout: 130)
            #expect(outcome.succeeded && outcome.output.contains("ok aio"), "\(outcome.output)")
        }
    }
}
