import Glibc

/// The text of one of the host's files, `limit` bytes at most; nil if it cannot be read.
func readHostFile(_ path: String, limit: Int) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit)
    var used = 0
    while used < limit {
        // SAFETY: `read` writes at most the bytes of the slice.
        let count = unsafe bytes[used...].withUnsafeMutableBytes {
            unsafe read(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { break }
        used += count
    }
    return used == 0 ? nil : String(decoding: bytes[..<used], as: UTF8.self)
}

/// Writes a value into one of the host's files under /sys. Returns whether it was taken.
@discardableResult
func writeHostFile(_ path: String, _ value: String) -> Bool {
    let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let bytes = Array(value.utf8)
    return unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) } == bytes.count
}
