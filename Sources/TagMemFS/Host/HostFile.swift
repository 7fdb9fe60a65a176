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

/// Calls `body` with each line of one of the host's files, without its newline, until it returns false. However long the
/// file is, a line of it is all that is kept.
///
/// Returns whether the file could be read.
@discardableResult
func forEachHostLine(_ path: String, _ body: (ArraySlice<UInt8>) -> Bool) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        // SAFETY: `read` writes at most the bytes of the array.
        let count = unsafe part.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            if !bytes.isEmpty { _ = body(bytes[...]) }
            return count == 0
        }
        // A long line comes in many parts: only what is new is searched.
        var searched = bytes.count
        bytes += part[..<count]
        var start = 0
        while let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            guard body(bytes[start..<end]) else { return true }
            (start, searched) = (end + 1, end + 1)
        }
        bytes.removeSubrange(..<start)
    }
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
