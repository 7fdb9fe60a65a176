import CFuse
import Glibc
public import TagMemCore
public import TagMemDeviceTree

/// A mounted file system and the threads that serve it.
@safe
public final class Session: @unchecked Sendable {
    public struct Configuration: Sendable {
        public var mountpoint: String
        /// What `mount` and /proc/mounts show as the device.
        public var source = "tagmem"
        /// Options for the kernel and libfuse, as after `-o`.
        public var mountOptions: [String] = []
        /// Trace every request on stderr.
        public var isDebugging = false
        /// Serve mapped files through the page cache, as on a kernel without FUSE_DIRECT_IO_ALLOW_MMAP.
        public var usesPageCache = false

        public init(mountpoint: String) { self.mountpoint = mountpoint }
    }

    let fileSystem: FileSystem
    private let configuration: Configuration
    private var session: OpaquePointer?
    /// Called when the kernel asks for the first time.
    private var onReady: @Sendable () -> Void = {}

    static let type = "tagmemd"

    /// - Throws: `DRAMError` or `AllocatorError`.
    public init(
        map: MemoryMap, layout: BlockLayout, deviceTree: DeviceTree, _ configuration: Configuration
    ) throws {
        fileSystem = try FileSystem(map: map, layout: layout, deviceTree: deviceTree)
        self.configuration = configuration
    }

    /// The session that libfuse carries around as user data.
    static func from(_ data: UnsafeMutableRawPointer) -> Session {
        // SAFETY: `run` passes itself and outlives libfuse's session.
        unsafe Unmanaged<Session>.fromOpaque(data).takeUnretainedValue()
    }

    /// Mounts, serves until the file system is unmounted or a signal ends it, and unmounts.
    ///
    /// To be called once, on the main thread, before any other thread is started: the calling thread's signal mask is
    /// inherited by all others. `onReady` is called once, when requests are served, on a thread of its own, which it may
    /// keep. libfuse and the kernel explain a failure to mount on stderr (`SessionError.Explained`).
    public func run(onReady: @escaping @Sendable () -> Void) throws {
        self.onReady = onReady
        let session = try unsafe makeSession()
        unsafe self.session = unsafe session
        defer { unsafe fuse_session_destroy(session) }
        Shutdown.blockSignals()
        guard unsafe fuse_session_mount(session, configuration.mountpoint) == 0 else {
            throw SessionError.Explained()
        }
        guard unsafe cfuse_take_over_io(session, !configuration.usesPageCache) == 0 else {
            throw SessionError.Explained()
        }
        let mounted = MountedFileSystem(at: configuration.mountpoint, type: "fuse.\(Self.type)")
        unsafe prepare(mounted, session)
        let shutdown = unsafe Shutdown(fileSystem: fileSystem, session: session)
        shutdown.start()
        unsafe fileSystem.start(SessionNotifier(session))
        let result = unsafe cfuse_session_loop(session, Self.threadCount)
        fileSystem.stop()
        // libfuse unmounts what is at the path: only if that is still what it mounted. The connection ends in any case.
        if mounted?.isOnTop(at: configuration.mountpoint) == true { unsafe fuse_session_unmount(session) }
        // 0: unmounted from outside; positive: a signal. The rest is a broken connection.
        if result < 0, !shutdown.wasRequested { throw SessionError.loop(-result) }
    }

    /// As many threads as processors serve best; two at least, so that one can serve what another waits for.
    private static var threadCount: UInt32 {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        // The threads that recall and that move pages copy too, on behalf of requests that waited.
        return UInt32(min(max(2, processors), 28))
    }

    /// What needs the mount's device.
    private func prepare(_ mounted: MountedFileSystem?, _ session: OpaquePointer) {
        unsafe startGuard(mounted, session)
        guard let mounted else { return }
        // The kernel lets FUSE files have few dirty pages and writes back all others at once, as behind a slow disk.
        // This one is memory: stores to mapped pages are to cost what they cost on tmpfs. Only root may say so.
        let settings = "/sys/class/bdi/\(mounted.device)/"
        writeHostFile(settings + "strict_limit", "0")
        writeHostFile(settings + "max_ratio", "100")
    }

    private func startGuard(_ mounted: MountedFileSystem?, _ session: OpaquePointer) {
        var problem = "the mount is not in /proc/self/mountinfo"
        if let connection = mounted?.connection {
            let result = cfuse_start_guard(connection)
            if result == 0 { return }
            problem =
                result == -ENOENT ? "/sys/fs/fuse/connections is not mounted" : errorText(-result)
        }
        // What was unmounted already needs none.
        var connection = unsafe pollfd(fd: fuse_session_fd(session), events: 0, revents: 0)
        if unsafe poll(&connection, 1, 0) == 1 { return }
        warn("no guard against a killed daemon: \(problem)")
    }

    private func makeSession() throws(SessionError.Explained) -> OpaquePointer {
        var options = configuration.mountOptions
        options += [
            "fsname=\(escapedOption(configuration.source))", "subtype=\(Self.type)", "default_permissions",
        ]
        var arguments = [Self.type, "-o", options.joined(separator: ",")]
        if configuration.isDebugging { arguments.append("-d") }
        var operations = makeOperations()
        // SAFETY: libfuse copies the arguments and the table; `self` outlives the session, see `run`.
        let session = unsafe withCStrings(arguments) { strings in
            unsafe cfuse_session_new(
                strings, Int32(arguments.count), &operations, Unmanaged.passUnretained(self).toOpaque())
        }
        guard let session = unsafe session else { throw SessionError.Explained() }
        return unsafe session
    }

    private static let backgroundPlacesNeeded: UInt32 = 4096

    /// How many background requests the kernel lets this process have.
    private func backgroundPlaces() -> UInt32 {
        if geteuid() == 0 { return UInt32(UInt16.max) }
        let limit = readHostFile("/sys/module/fuse/parameters/max_user_bgreq", limit: 32)
        return limit.flatMap { UInt32($0.split(separator: "\n").first ?? "") } ?? 0
    }

    /// Says which of the kernel's capabilities are used. Called by libfuse during INIT.
    func negotiate(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
        // A background request can wait here for a page that is to be written back, and write-backs are background
        // requests too: those that wait are kept to a part of the places there are.
        let places = backgroundPlaces()
        if places >= Self.backgroundPlacesNeeded {
            unsafe connection.pointee.max_background = places
            fileSystem.directory.limitQueuedFills(to: Int(places) / 2)
        } else {
            unsafe cfuse_decline(connection, UInt64(FUSE_CAP_ASYNC_READ))
        }
        // Asynchronous direct requests would wait in the background too, and their number has no such limit.
        unsafe cfuse_decline(connection, UInt64(FUSE_CAP_ASYNC_DIO))
        // Nothing here changes behind the kernel's back but what recalls tell it.
        unsafe cfuse_decline(connection, UInt64(FUSE_CAP_AUTO_INVAL_DATA))
        // Size changes are ignored: a truncation on open is a request of its own, like any other.
        unsafe cfuse_decline(connection, UInt64(FUSE_CAP_ATOMIC_O_TRUNC))
        // Answers go straight from memory, which was measured to be faster than pipes.
        unsafe cfuse_decline(
            connection, UInt64(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE))
        if !configuration.usesPageCache, !cfuse_allows_direct_io_mmap() {
            warn(
                "this kernel (before 6.6) cannot map files that are read directly:"
                    + " mem and views go through the page cache and are checked page by page")
        }
        fileSystem.mapsDirectFiles = cfuse_allows_direct_io_mmap()
        fileSystem.directory.look { $0.usesPageCache = !cfuse_allows_direct_io_mmap() }
        if !fileSystem.mapsDirectFiles {
            // The kernel holds the locks of all pages of a cached write; with one, no recall can wait for another's.
            unsafe connection.pointee.max_write = UInt32(Page.size)
        }
        startThread("ready", onReady)
    }
}

/// A value as libfuse and fusermount3 take it in a list of options: of a comma and a backslash nothing else can be made.
private func escapedOption(_ value: String) -> String {
    var escaped = ""
    for character in value.unicodeScalars {
        if character == "," || character == "\\" { escaped.unicodeScalars.append("\\") }
        escaped.unicodeScalars.append(character)
    }
    return escaped
}

public enum SessionError: Error, CustomStringConvertible {
    /// The connection broke.
    case loop(Int32)

    public var description: String {
        switch self {
        case .loop(let error): "the connection to the kernel broke: \(errorText(error))"
        }
    }

    /// libfuse or fusermount3 said on stderr what is wrong.
    public struct Explained: Error {}
}

/// A pointer to something that any thread may use.
@safe
final class SessionNotifier: KernelNotifier, @unchecked Sendable {
    let session: OpaquePointer
    init(_ session: OpaquePointer) { unsafe self.session = unsafe session }

    func invalidate(_ node: NodeID, at offset: UInt64, length: UInt64) {
        unsafe fuse_lowlevel_notify_inval_inode(session, node.rawValue, off_t(offset), off_t(length))
    }
    func announceSize(_ size: UInt64, of node: NodeID) {
        unsafe cfuse_notify_size(session, node.rawValue, size)
    }
    func retrieve(
        _ node: NodeID, at offset: UInt64, length: Int, then: @escaping @Sendable ([UInt8]?) -> Void
    ) { then(nil) }
}
