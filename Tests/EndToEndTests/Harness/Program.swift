import Glibc
import Synchronization
import Testing

/// How a program ended.
enum Ending: Equatable {
    case exited(Int32)
    case killed(signal: Int32)
    /// It did not end in time, and was killed or, if it cannot even be killed, left.
    case timedOut
}

/// What a program did.
struct Outcome {
    let ending: Ending
    let output: String
    let errors: String

    var succeeded: Bool { ending == .exited(0) }
    /// The output without the newline at its end.
    var line: String { output.hasSuffix("\n") ? String(output.dropLast()) : output }
    var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
}

/// Pipes and other descriptors that are not to be inherited are made under this lock, as programs are started.
private let startLock = Mutex(())

/// A pipe whose ends only the program gets that is told to.
private func makePipe() throws(Errno) -> (read: File, write: File) {
    var ends: [Int32] = [-1, -1]
    try check { unsafe pipe(&ends) }
    for end in ends { try check { fcntl(end, F_SETFD, FD_CLOEXEC) } }
    return (File(descriptor: ends[0]), File(descriptor: ends[1]))
}

/// A program that was started. It has a session of its own, and all of it is killed when it is dropped.
final class Program: @unchecked Sendable {
    let name: String
    let pid: pid_t
    /// For `input: .pipe`.
    private(set) var input: File?
    /// For `output: .pipe`.
    private(set) var outputPipe: File?
    private let outputFile: File
    private let errorFile: File
    private let endingState = Mutex<Ending?>(nil)
    private var isAbandoned = false

    enum Stream { case file, pipe }

    /// - Parameter standardInput: What it reads, unless `input` is a pipe.
    init(
        _ command: String, _ arguments: [String], standardInput: String = "", input: Stream = .file,
        output: Stream = .file, environment: [String: String] = [:]
    ) throws(Errno) {
        name = ([command] + arguments).joined(separator: " ")
        let directory = try makeTemporaryDirectory()
        defer { unsafe rmdir(directory) }
        func scratch(_ name: String) throws(Errno) -> File {
            let path = "\(directory)/\(name)"
            defer { unsafe unlink(path) }
            return try File(path, O_RDWR | O_CREAT | O_EXCL)
        }
        outputFile = try scratch("output")
        errorFile = try scratch("errors")
        let inputFile = try scratch("input")
        if !standardInput.isEmpty { try inputFile.write(standardInput) }
        // A backtrace of a program that is to be killed by SIGBUS would touch the page once more.
        let environment = environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { given, _ in given }
        var variables: [String] = []
        var position = unsafe environ
        while let variable = unsafe position.pointee {
            let text = unsafe String(cString: variable)
            if !environment.keys.contains(where: { text.hasPrefix($0 + "=") }) { variables.append(text) }
            unsafe position += 1
        }
        variables += environment.map { "\($0)=\($1)" }

        let started: (pid: pid_t, input: File?, output: File?)
        do {
            let (inputEnd, outputEnd) = (inputFile.descriptor, outputFile.descriptor)
            let errorEnd = errorFile.descriptor
            let result: Result<(pid: pid_t, input: File?, output: File?), Errno> = startLock.withLock { _ in
                do throws(Errno) {
                    let inputPipe = input == .pipe ? try makePipe() : nil
                    let outputPipe = output == .pipe ? try makePipe() : nil
                    let pid = try spawn(
                        command, arguments, variables,
                        streams: [
                            inputPipe?.read.descriptor ?? inputEnd, outputPipe?.write.descriptor ?? outputEnd,
                            errorEnd,
                        ])
                    return .success((pid, inputPipe?.write, outputPipe?.read))
                } catch {
                    return .failure(error)
                }
            }
            started = try result.get()
        }
        pid = started.pid
        self.input = started.input
        self.outputPipe = started.output
    }

    deinit {
        guard !isAbandoned, poll() == nil else { return }
        kill()
        _ = wait(seconds: 2)
    }

    func signal(_ number: Int32) { endingState.withLock { if $0 == nil { Glibc.kill(pid, number) } } }

    /// Ends it, with all that it started and that has not left its session.
    func kill() {
        endingState.withLock {
            guard $0 == nil else { return }
            Glibc.kill(-pid, SIGKILL)
            Glibc.kill(pid, SIGKILL)
        }
    }

    func closeInput() { input = nil }

    /// How it ended; nil if it runs.
    func poll() -> Ending? {
        endingState.withLock { ending in
            if ending != nil { return ending }
            var status: Int32 = 0
            guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
            let signal = status & 0x7f
            ending = signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal)
            return ending
        }
    }

    /// Waits for its end. nil if it does not come in time.
    func wait(seconds: Double) -> Ending? { eventually(within: seconds) { poll() != nil } ? poll() : nil }

    /// Waits for its end; where that does not come, kills it, and fails the test.
    func finish(
        within seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Outcome {
        var result = wait(seconds: seconds)
        if result == nil {
            result = .timedOut
            kill()
            isAbandoned = wait(seconds: 5) == nil
            Issue.record(
                "\(name): no end within \(seconds) s\(isAbandoned ? ", and it cannot be killed" : "")",
                sourceLocation: sourceLocation)
        }
        return Outcome(ending: result ?? .timedOut, output: text(outputFile), errors: errors)
    }

    /// What it has written to stderr so far.
    /// But not that there is no guard, where an ordinary user runs the tests and cannot have one.
    var errors: String {
        let errors = text(errorFile)
        guard geteuid() != 0, errors.hasPrefix(Self.noGuard) else { return errors }
        return String(errors.dropFirst(Self.noGuard.count))
    }
    static let noGuard =
        "tagmemd: no guard against a killed daemon: /sys/fs/fuse/connections is not mounted\n"
    /// What it has written to stdout so far, for `output: .file`.
    var output: String { text(outputFile) }

    private func text(_ file: File) -> String {
        var bytes: [UInt8] = []
        while let part = try? file.read(at: UInt64(bytes.count), count: 1 << 16), !part.isEmpty {
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private func spawn(
    _ command: String, _ arguments: [String], _ variables: [String], streams: [Int32]
) throws(Errno) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (number, stream) in streams.enumerated() {
        unsafe posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
    }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID is the C library's own.
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
    var pid = pid_t()
    let result = unsafe withCStrings([command] + arguments) { arguments in
        unsafe withCStrings(variables) { variables in
            unsafe posix_spawnp(&pid, command, &actions, &attributes, arguments, variables)
        }
    }
    guard result == 0 else { throw Errno(result) }
    return pid
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    // SAFETY: the copies live until `body` returns, and `body` does not keep them.
    var copies: [UnsafeMutablePointer<CChar>?] = unsafe []
    for string in strings { unsafe copies.append(strdup(string)) }
    unsafe copies.append(nil)
    defer { for index in strings.indices { unsafe free(copies[index]) } }
    return unsafe copies.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the array ends with NULL") }
        return unsafe body(base)
    }
}

/// Runs a program to its end, and never waits longer than `timeout` for that.
@discardableResult
func run(
    _ command: String, _ arguments: [String] = [], standardInput: String = "", timeout: Double = 30,
    environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
) throws -> Outcome {
    try Program(command, arguments, standardInput: standardInput, environment: environment)
        .finish(within: timeout, sourceLocation: sourceLocation)
}

/// Runs a line of shell.
@discardableResult
func shell(
    _ script: String, timeout: Double = 30, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) throws -> Outcome {
    try run(
        "sh", ["-c", script], timeout: timeout, environment: environment, sourceLocation: sourceLocation)
}

/// Whether there is such a process, and it is no zombie.
func isAlive(_ pid: pid_t) -> Bool {
    guard let text = try? contents(of: "/proc/\(pid)/stat"),
        let state = text.split(separator: ")").last?.split(separator: " ").first
    else { return false }
    return state != "Z" && state != "X"
}

/// The living processes whose command line has `text` in it.
func processes(naming text: String) throws -> [pid_t] {
    try names(in: "/proc").compactMap { name in
        guard let pid = pid_t(name), pid != getpid(),
            let line = try? contents(of: "/proc/\(pid)/cmdline"), line.contains(text), isAlive(pid)
        else { return nil }
        return pid
    }
}
