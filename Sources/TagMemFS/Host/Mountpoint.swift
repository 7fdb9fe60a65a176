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
        var last: String?
        // One may lie on top of another.
        while let mounted = MountedFileSystem(at: path) {
            guard mounted.type == "fuse.\(Session.type)", mounted.device != last else {
                throw .foreign(path, type: mounted.type)
            }
            // Attributes may be cached; what df shows never is.
            var statistics = statvfs()
            let isStale = unsafe statvfs(path, &statistics) != 0 && errno == ENOTCONN
            guard isStale else { throw .alreadyMounted(path) }
            try Self.unmount(path)
            last = mounted.device
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
