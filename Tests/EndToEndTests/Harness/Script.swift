import Glibc
import Testing

/// A process that does single accesses as it is told, `tagmem-client script`: what may end in SIGBUS, and what has to
/// happen in a process of its own.
final class Script {
    let program: Program
    private var rest: [UInt8] = []

    init() throws { program = try Program(clientProgram, ["script"], input: .pipe, output: .pipe) }

    var pid: pid_t { program.pid }

    /// Does a line, and returns the answer.
    func callAsFunction(_ line: String, within seconds: Double = 20) throws -> String {
        try begin(line)
        return try end(within: seconds)
    }

    /// Lets it do a line; its answer is to be fetched with `end`.
    func begin(_ line: String) throws {
        let input = try #require(program.input)
        let bytes = Array("\(line)\n".utf8)
        try check {
            unsafe bytes.withUnsafeBytes { unsafe write(input.descriptor, $0.baseAddress, $0.count) }
        }
    }

    /// The answer to the next line that was begun.
    func end(within seconds: Double = 20) throws -> String {
        let output = try #require(program.outputPipe)
        while true {
            if let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest.removeSubrange(...newline) }
                return String(decoding: rest[..<newline], as: UTF8.self)
            }
            try #require(try output.poll(within: seconds) != 0, "no answer")
            let part = try output.next(4096)
            try #require(!part.isEmpty, "the client has ended: \(program.errors)")
            rest += part
        }
    }

    /// fallocate(2), with FALLOC_FL_KEEP_SIZE (1), FALLOC_FL_PUNCH_HOLE (2) or neither.
    func allocate(_ path: String, _ mode: Int, at offset: Int, count: Int) throws -> String {
        try #require(try self("open 15 \(path) rw") == "ok")
        defer { _ = try? self("close 15") }
        return try self("fallocate 15 \(mode) \(offset) \(count)")
    }

    /// Makes a hole. The size stays.
    func punch(_ path: String, at offset: Int, count: Int) throws {
        try #require(try allocate(path, 3, at: offset, count: count) == "ok")
    }

    /// Opens a file and maps it, both under the number `slot`.
    func map(_ slot: Int, _ path: String, at offset: UInt64, length: Int = 4096, _ access: String = "rw")
        throws
    {
        try #require(try self("open \(slot) \(path) \(access)") == "ok")
        try #require(try self("map \(slot) \(slot) \(offset) \(length) \(access) shared") == "ok")
    }
}

/// Runs the client. It says on stdout what it did or why it failed.
func client(
    _ arguments: [String], timeout: Double = 60, sourceLocation: SourceLocation = #_sourceLocation
) throws -> Outcome {
    try run(clientProgram, arguments, timeout: timeout, sourceLocation: sourceLocation)
}
