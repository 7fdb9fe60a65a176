import Glibc
import TagMemFS

/// Where a command's result goes.
struct OutputFile {
    private let path: String?

    init(_ path: String) { self.path = path }

    private init() { path = nil }

    static let standardOutput = Self()

    /// Writes all of it. A regular file, or one that is not there yet, is complete or not touched: what is written gets
    /// its name at the end. Anything else, such as a pipe or a link, is written to.
    func write(_ bytes: [UInt8]) throws { try write { put in try put(bytes) } }

    /// The same of what `body` hands on, part by part.
    func write(_ body: (_ put: ([UInt8]) throws -> Void) throws -> Void) throws {
        guard let path else {
            return try body { try Self.write($0, to: STDOUT_FILENO, "standard output") }
        }
        var status = stat()
        let isThere = unsafe lstat(path, &status) == 0
        if isThere, status.st_mode & S_IFMT != S_IFREG {
            let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
            guard descriptor >= 0 else { throw Self.failure(path) }
            defer { close(descriptor) }
            return try body { try Self.write($0, to: descriptor, path) }
        }
        let temporary = "\(path).\(getpid())~"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path) }
        do {
            defer { close(descriptor) }
            if isThere { fchmod(descriptor, status.st_mode & 0o7777) }
            try body { try Self.write($0, to: descriptor, path) }
            guard unsafe rename(temporary, path) == 0 else { throw Self.failure(path) }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ name: String) throws {
        guard writeAll(bytes, to: descriptor) else { throw failure(name) }
    }

    private static func failure(_ name: String) -> Failure {
        Failure("cannot write '\(name)': \(errorText(errno))")
    }
}
