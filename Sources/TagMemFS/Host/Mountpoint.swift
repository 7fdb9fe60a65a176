import Glibc

/// A directory that a file system can be mounted on.
public struct Mountpoint: Sendable {
    /// Absolute, without links.
    public let path: String

    /// Looks at `path`, and takes away what a crashed daemon left mounted there.
    ///
    /// - Throws: `MountpointError` if there is no such directory, or something is mounted there.
    public init(_ given: String) throws(MountpointError) {
        let path = try Self.canonical(given)
        self.path = path
        if let type = MountedFileSystem(at: path)?.type {
            // Attributes may be cached; what df shows never is.
            var statistics = statvfs()
            let isStale = unsafe statvfs(path, &statistics) != 0 && errno == ENOTCONN
            guard type == "fuse.\(Session.type)" else { throw .foreign(path, type: type) }
            guard isStale else { throw .alreadyMounted(path) }
            try Self.unmount(path)
            if let type = MountedFileSystem(at: path)?.type { throw .foreign(path, type: type) }
        }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .unusable(given, errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .unusable(given, ENOTDIR) }
    }

    /// realpath(3), which cannot look at a stale mount itself: its directory can be.
    private static func canonical(_ given: String) throws(MountpointError) -> String {
        if let resolved = realPath(given) { return resolved }
        let error = errno
        guard error == ENOTCONN else { throw .unusable(given, error) }
        var trimmed = given[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        let slash = trimmed.lastIndex(of: "/")
        let parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
        let name = slash.map { trimmed[trimmed.index(after: $0)...] } ?? trimmed
        guard let directory = realPath(parent) else { throw .unusable(given, errno) }
        return directory == "/" ? "/\(name)" : "\(directory)/\(name)"
    }

    /// Detaches the mount: as root by ourselves, as a user with fusermount3.
    private static func unmount(_ path: String) throws(MountpointError) {
        if unsafe umount2(path, Int32(MNT_DETACH)) == 0 { return }
        var process = pid_t()
        let result = unsafe withCStrings(["fusermount3", "-u", "-z", "--", path]) { arguments in
            unsafe posix_spawnp(&process, "fusermount3", nil, nil, arguments, environ)
        }
        guard result == 0 else { throw .stale(path, result) }
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        if status != 0 { throw .stale(path, EPERM) }
    }
}

private func realPath(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
}

/// A file system that is mounted somewhere.
struct MountedFileSystem {
    /// As after `mount -t`.
    let type: String
    /// `major:minor`.
    let device: String
    /// For FUSE the connection's number, under /sys/fs/fuse/connections.
    var minor: UInt32 { device.split(separator: ":").last.flatMap { UInt32($0) } ?? 0 }

    /// The topmost file system at `path`, from /proc/self/mountinfo; nil if none is mounted there. A stat would be a
    /// request to that file system.
    init?(at path: String) {
        guard let text = readHostFile("/proc/self/mountinfo", limit: 1 << 20) else { return nil }
        var found: (type: String, device: String)?
        for line in text.split(separator: "\n") {
            // 36 35 98:0 /root /mount/point options - type source superoptions
            let fields = line.split(separator: " ")
            guard fields.count > 5, unescaped(fields[4]) == path, let dash = fields.firstIndex(of: "-"),
                dash + 1 < fields.count
            else { continue }
            found = (String(fields[dash + 1]), String(fields[2]))
        }
        guard let found else { return nil }
        (type, device) = found
    }
}

/// mountinfo writes blanks and backslashes as three octal digits.
func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = field.utf8[...]
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
    return String(decoding: bytes, as: UTF8.self)
}

/// Why a file system cannot be mounted somewhere.
public enum MountpointError: Error, Equatable, CustomStringConvertible {
    case unusable(String, Int32)
    case alreadyMounted(String)
    case foreign(String, type: String)
    case stale(String, Int32)

    public var description: String {
        switch self {
        case .unusable(let path, let error): "\(path): \(errorText(error))"
        case .alreadyMounted(let path): "\(path): a tagmemd is mounted there already"
        case .foreign(let path, let type): "\(path): a file system of type \(type) is mounted there"
        case .stale(let path, let error):
            "\(path): the mount that a crash left behind cannot be taken away: \(errorText(error))"
        }
    }
}
