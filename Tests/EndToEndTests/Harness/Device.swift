import Dispatch
import Glibc
import Synchronization
import Testing

/// A mounted device: a daemon in the foreground, and the directory that it serves.
final class Device: @unchecked Sendable {
    struct Options {
        /// Of the data memory, as on the command line.
        var size = "2M"
        /// Which machine it is, instead of its size: `Map` then says nothing.
        var machine: [String] = []
        /// After `-o`.
        var mountOptions: [String] = []
        /// Whether the test uses memory up: the daemon then says so.
        var runsOut = false
        /// How long the test may use the device, in seconds; then the daemon is killed, which ends all requests.
        var limit: Double = 60
    }

    let mountpoint: String
    let daemon: Program
    let map: Map
    private let runsOut: Bool

    /// What the daemon says, once, when an allocation finds no page.
    static let outOfMemory =
        "tagmemd: out of memory: an allocation found no page (this is said once; vmstat counts them)\n"

    /// Where the device has its memory, as the defaults of the command line say.
    struct Map {
        let base: UInt64 = 0x4000_0000
        let size: UInt64
        var tagBase: UInt64 { base + size }
        var end: UInt64 { tagBase + size / 32 }
    }

    fileprivate init(_ options: Options) throws {
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        let unit = try #require(options.size.last.flatMap { units[$0] })
        map = Map(size: try #require(UInt64(options.size.dropLast())) * unit)
        runsOut = options.runsOut
        mountpoint = try makeTemporaryDirectory()
        let machine = options.machine.isEmpty ? ["--size", options.size] : options.machine
        var arguments = ["-f"] + machine + [mountpoint]
        if !options.mountOptions.isEmpty { arguments += ["-o", options.mountOptions.joined(separator: ",")] }
        daemon = try Program(daemonProgram, arguments)
    }

    /// Waits until the mount answers.
    fileprivate func waitUntilReady() throws {
        let isReady = eventually(within: 10) {
            daemon.poll() != nil || isMounted(mountpoint) && (try? status(of: path("phys/mem"))) != nil
        }
        try #require(isReady && daemon.poll() == nil, "the mount does not answer: \(daemon.errors)")
    }

    /// Takes the mount away, whatever state it is in, and looks at how the daemon ends.
    fileprivate func tearDown(expectsDeath: Bool, _ sourceLocation: SourceLocation) {
        while isMounted(mountpoint) {
            if !detach(mountpoint) { break }
        }
        var ending = daemon.wait(seconds: 10)
        if ending == nil {
            Issue.record("the daemon does not end after umount", sourceLocation: sourceLocation)
            daemon.kill()
            ending = daemon.wait(seconds: 10)
        }
        if isMounted(mountpoint) {
            Issue.record("\(mountpoint) stays mounted", sourceLocation: sourceLocation)
            unsafe umount2(mountpoint, Int32(MNT_FORCE))
            _ = detach(mountpoint)
        }
        if !expectsDeath {
            if ending != .exited(0) {
                Issue.record("the daemon has ended: \(ending as Any)", sourceLocation: sourceLocation)
            }
            if daemon.errors != (runsOut ? Self.outOfMemory : "") {
                Issue.record("the daemon says: \(daemon.errors)", sourceLocation: sourceLocation)
            }
        }
        unsafe rmdir(mountpoint)
    }

    // MARK: Files

    func path(_ name: String) -> String { "\(mountpoint)/\(name)" }

    func view(_ tag: some BinaryInteger) -> String { path("phys/views/\(String(tag, radix: 16))") }

    func open(_ name: String, _ flags: Int32 = O_RDWR) throws(Errno) -> File { try File(path(name), flags) }

    func openView(_ tag: some BinaryInteger, _ flags: Int32 = O_RDWR) throws(Errno) -> File {
        try File(view(tag), flags)
    }

    /// Gives `count` granules from `address` on one tag.
    func setTag(_ tag: Int, at address: UInt64, granules count: Int = 256) throws(Errno) {
        let digit = Array(String(tag, radix: 16).utf8)[0]
        let file = try open("phys/tags.hex", O_WRONLY)
        try file.write([UInt8](repeating: digit, count: count), at: address / 16)
    }

    func setMode(_ mode: String) throws(Errno) { try open("phys/mode", O_WRONLY).write(mode) }

    func mode() throws(Errno) -> String { try contents(of: path("phys/mode")) }

    func tfsr() throws(Errno) -> String { try contents(of: path("phys/tfsr")) }

    func store(_ bytes: [UInt8], at address: UInt64) throws(Errno) {
        try open("phys/mem", O_WRONLY).write(bytes, at: address)
    }

    func memory(at address: UInt64, count: Int) throws(Errno) -> [UInt8] {
        try open("phys/mem", O_RDONLY).read(at: address, count: count)
    }

    // MARK: What the daemon reports

    func faults() throws -> [FaultLine] {
        try FaultLine.parse(contents(of: path("faults"))).map { try #require($0) }
    }

    /// The faults that `body` adds to the log.
    func newFaults(_ body: () throws -> Void) throws -> [FaultLine] {
        let before = try faults().count
        try body()
        return Array(try faults().dropFirst(before))
    }

    func counters() throws -> [String: Int] {
        var counters: [String: Int] = [:]
        for line in try contents(of: path("vmstat")).split(separator: "\n") {
            let words = line.split(separator: " ")
            try #require(words.count == 2)
            counters[String(words[0])] = Int(words[1])
        }
        return counters
    }

    /// The daemon's memory in use, in KiB.
    func residentMemory() throws -> Int {
        let line = try contents(of: "/proc/\(daemon.pid)/status").split(separator: "\n")
            .first { $0.hasPrefix("VmRSS:") }
        return try #require(line?.split(separator: " ").dropLast().last.flatMap { Int($0) })
    }

    /// Gives one of the threads that serve requests only what everybody else leaves of the processors. Those have the
    /// daemon's name, as its first thread, which waits for them.
    func slowThread() throws {
        let tasks = "/proc/\(daemon.pid)/task"
        let name = try contents(of: "/proc/\(daemon.pid)/comm")
        let thread = try #require(
            names(in: tasks).compactMap { pid_t($0) }.sorted().first {
                try $0 != daemon.pid && contents(of: "\(tasks)/\($0)/comm") == name
            })
        var parameters = sched_param(sched_priority: 0)
        try check { unsafe sched_setscheduler(thread, Self.idlePolicy, &parameters) }
    }

    /// SCHED_IDLE, of which Glibc's module has no name.
    private static let idlePolicy: Int32 = 5

    /// The guard process of the daemon: its child of that name, which it takes once it runs.
    func guardProcess() throws -> pid_t {
        var found: pid_t?
        _ = try eventually {
            found = try findGuard()
            return found != nil
        }
        return try #require(found, "the daemon has no guard")
    }

    private func findGuard() throws -> pid_t? {
        for name in try names(in: "/proc") {
            guard let pid = pid_t(name), let text = try? contents(of: "/proc/\(pid)/stat"),
                text.contains("(tagmemd-guard)"),
                text.split(separator: ")").last?.split(separator: " ").dropFirst().first == "\(daemon.pid)"
            else { continue }
            return pid
        }
        return nil
    }
}

/// Mounts a device for `body`, and leaves nothing of it behind.
///
/// - Parameter expectsDeath: `body` ends the daemon, so how it ended is its own to check.
func withDevice<Result>(
    _ options: Device.Options = Device.Options(), expectsDeath: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Device) throws -> Result
) throws -> Result {
    let device = try Device(options)
    let watchdog = Watchdog(device.daemon, seconds: options.limit)
    defer {
        watchdog.cancel()
        if watchdog.hasBarked {
            Issue.record("no end within \(options.limit) s", sourceLocation: sourceLocation)
        }
        device.tearDown(expectsDeath: expectsDeath || watchdog.hasBarked, sourceLocation)
    }
    try device.waitUntilReady()
    return try body(device)
}

/// With small changes of the default options.
func withDevice<Result>(
    size: String = "2M", mountOptions: [String] = [], runsOut: Bool = false, limit: Double = 60,
    expectsDeath: Bool = false, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Device) throws -> Result
) throws -> Result {
    try withDevice(
        Device.Options(size: size, mountOptions: mountOptions, runsOut: runsOut, limit: limit),
        expectsDeath: expectsDeath, sourceLocation: sourceLocation, body)
}

/// Kills a daemon that a test does not come back from: the kernel then ends all requests with an error.
private final class Watchdog: Sendable {
    private let barked = Atomic(false)
    private let cancelled = Atomic(false)

    init(_ program: Program, seconds: Double) {
        DispatchQueue(label: "watchdog").asyncAfter(deadline: .now() + seconds) { [self] in
            if cancelled.load(ordering: .relaxed) { return }
            barked.store(true, ordering: .relaxed)
            program.signal(SIGKILL)
        }
    }

    var hasBarked: Bool { barked.load(ordering: .relaxed) }
    func cancel() { cancelled.store(true, ordering: .relaxed) }
}

/// The types of the file systems that are mounted at a path, the topmost last.
func mountTypes(at path: String) -> [String] {
    guard let text = try? contents(of: "/proc/self/mountinfo") else { return [] }
    return text.split(separator: "\n").compactMap { line in
        let fields = line.split(separator: " ")
        guard fields.count > 5, fields[4] == path, let dash = fields.firstIndex(of: "-") else { return nil }
        return String(fields[dash + 1])
    }
}

func isMounted(_ path: String) -> Bool { !mountTypes(at: path).isEmpty }
