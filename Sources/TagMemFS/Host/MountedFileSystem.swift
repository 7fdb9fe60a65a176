import Glibc

/// A file system that is mounted somewhere.
struct MountedFileSystem: Equatable {
    /// As after `mount -t`.
    let type: String
    /// `major:minor`. For FUSE the minor number is the connection's under /sys/fs/fuse/connections.
    let device: String

    /// The topmost file system at `path`; nil if none is mounted there, or the table of mounts cannot be read. A stat
    /// would be a request to that file system.
    ///
    /// - Parameter table: Where the table is, as proc(5) describes it.
    init?(at path: String, table: String = "/proc/self/mountinfo") {
        var found: Self?
        forEachHostLine(table) { line in
            if let (place, mounted) = Self.parse(line), place.elementsEqual(path.utf8) { found = mounted }
            return true
        }
        guard let found else { return nil }
        self = found
    }

    /// The topmost file system at `path` if it is of this type.
    init?(at path: String, type: String) {
        self.init(at: path)
        if self.type != type { return nil }
    }

    /// The number of its FUSE connection.
    var connection: UInt32? { device.split(separator: ":").last.flatMap { UInt32($0) } }

    /// Whether this file system, and no other, is what is seen at `path`.
    func isOnTop(at path: String) -> Bool { Self(at: path) == self }

    private init(type: String, device: String) { (self.type, self.device) = (type, device) }

    /// `36 35 98:0 /root /mount/point options - type source superoptions`
    private static func parse(_ line: ArraySlice<UInt8>) -> (place: [UInt8], Self)? {
        let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard let dash = fields.firstIndex(of: [UInt8(ascii: "-")]), dash > 4, dash + 1 < fields.count else {
            return nil
        }
        func text(_ index: Int) -> String { String(decoding: fields[index], as: UTF8.self) }
        return (unescaped(fields[4]), Self(type: text(dash + 1), device: text(2)))
    }

    /// mountinfo writes blanks and backslashes as three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
