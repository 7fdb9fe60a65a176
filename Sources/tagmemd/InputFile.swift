import Glibc
import TagMemFS

/// A file that is read from its beginning to its end, or standard input.
final class InputFile {
    /// What it is called in messages and tables: without its folders.
    let name: String
    private let path: String
    private let descriptor: Int32

    /// - Parameters:
    ///   - path: `-` for standard input.
    ///   - failure: what is said of one that cannot be opened.
    init(_ path: String, failure: String = "is no file to read") throws {
        self.path = path
        name = path == "-" ? "standard input" : path.split(separator: "/").last.map(String.init) ?? path
        descriptor = path == "-" ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure("'\(path)' \(failure): \(errorText(errno))")
        }
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// The next part; empty at the end.
    func read() throws -> [UInt8] {
        while true {
            var error: Int32 = 0
            // SAFETY: `read` writes at most the bytes of the buffer, and says how many it wrote.
            let part = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, used in
                let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                error = count < 0 ? errno : 0
                used = max(0, count)
            }
            if error == 0 { return part }
            if error != EINTR {
                throw Failure("cannot read '\(path)': \(errorText(error))")
            }
        }
    }
}
