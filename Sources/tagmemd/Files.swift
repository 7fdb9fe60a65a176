import Glibc
import TagMemFS

/// The bytes of one of the host's files, one more than `limit` at most.
func readFile(_ path: String, limit: Int) throws -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure("\(path): \(errorText(errno))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: min(limit + 1, 1 << 20))
    while bytes.count <= limit {
        // SAFETY: `read` writes at most the bytes of the buffer.
        let count = unsafe part.withUnsafeMutableBytes {
            unsafe read(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw Failure("\(path): \(errorText(errno))") }
        if count == 0 { break }
        bytes += part[..<min(count, limit + 1 - bytes.count)]
    }
    return bytes
}

/// Makes the host's file, or stdout, hold these bytes.
func writeFile(_ path: String?, _ bytes: [UInt8]) throws {
    let name = path ?? "stdout"
    var descriptor = STDOUT_FILENO
    if let path {
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw Failure("\(path): \(errorText(errno))") }
    }
    guard writeAll(bytes, to: descriptor) else { throw Failure("\(name): \(errorText(errno))") }
    // A full disk may show only here.
    guard path == nil || close(descriptor) == 0 else { throw Failure("\(name): \(errorText(errno))") }
}

/// Writes all bytes to an open file. False, with the error in `errno`, if it cannot.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        // SAFETY: `write` reads at most the bytes of the slice.
        let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count < 0 { return false }
        rest = rest.dropFirst(count)
    }
    return true
}
