import CFuse
import Glibc
import Synchronization
import TagMemCore

/// Requests and answers through /dev/fuse, by libfuse's low-level interface.
///
/// This, its extensions and Operations.swift are all that calls libfuse.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
final class LibfuseTransport: Transport, @unchecked Sendable {
    let fileSystem: FileSystem
    private let configuration: Session.Configuration
    /// Called once, when the kernel has been answered that the mount is up.
    private let onInit: (TransportTerms) -> Void
    // SAFETY: allocated in `init`, freed in `deinit`; libfuse and its hooks have it between the two.
    private let context: UnsafeMutablePointer<cfuse_context>
    // SAFETY: set while one thread has the object, destroyed by `close`, after which nobody calls.
    var session: OpaquePointer
    private let serving = Guarded(Serving.before)
    /// What was asked of the kernel by `retrieve` and has not come, by cookie.
    let retrievals = Guarded(Retrievals())
    private let mountedFileSystem: MountedFileSystem?

    private enum Serving {
        case before
        /// The thread in `serve`.
        case on(pthread_t)
        case ended
    }

    /// The signal that interrupts the wait of the thread in `serve`; it has no other meaning.
    private static let wakeUp = SIGUSR2

    /// Mounts. libfuse and fusermount3 say on stderr why that fails. To be made on the main thread, whose life the guard
    /// watches, before other threads are started.
    ///
    init(
        _ configuration: Session.Configuration, serving fileSystem: FileSystem,
        onInit: @escaping (TransportTerms) -> Void
    ) throws(SessionError.Explained) {
        self.fileSystem = fileSystem
        self.configuration = configuration
        self.onInit = onInit
        let context = UnsafeMutablePointer<cfuse_context>.allocate(capacity: 1)
        unsafe context.initialize(to: cfuse_context())
        unsafe context.pointee.wants_direct_io_mmap = !configuration.usesPageCache
        unsafe self.context = unsafe context
        var options = configuration.mountOptions
        options += [
            "fsname=\(escapedOption(configuration.source))", "subtype=\(Session.type)", "default_permissions",
        ]
        var arguments = [Session.type, "-o", options.joined(separator: ",")]
        if configuration.isDebugging { arguments.append("-d") }
        var operations = makeOperations()
        // SAFETY: libfuse copies the arguments and the table; the context lives as long as `self`.
        let session = unsafe withCStrings(arguments) { strings in
            unsafe cfuse_session_new(strings, Int32(arguments.count), &operations, context)
        }
        guard let session = unsafe session else {
            unsafe context.deallocate()
            throw SessionError.Explained()
        }
        unsafe self.session = unsafe session
        guard unsafe fuse_session_mount(session, configuration.mountpoint) == 0 else {
            unsafe fuse_session_destroy(session)
            unsafe context.deallocate()
            throw SessionError.Explained()
        }
        mountedFileSystem = MountedFileSystem(
            at: configuration.mountpoint, type: "fuse.\(Session.type)")
        unsafe context.pointee.owner = unsafe Unmanaged.passUnretained(self).toOpaque()
        guard unsafe cfuse_take_over_io(session) == 0 else {
            close()
            throw SessionError.Explained()
        }
        startGuard()
        allowDirtyPages()
    }

    deinit { unsafe context.deallocate() }

    /// The transport whose context libfuse carries around as user data.
    static func from(_ data: UnsafeMutableRawPointer) -> LibfuseTransport {
        // SAFETY: `owner` is set before libfuse's loop starts, and outlives it.
        unsafe Unmanaged<LibfuseTransport>.fromOpaque(
            data.assumingMemoryBound(to: cfuse_context.self).pointee.owner
        ).takeUnretainedValue()
    }

    // MARK: Serving

    func serve() throws(SessionError) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        // Without SA_RESTART: the wait is to end.
        unsafe sigaction(Self.wakeUp, &action, nil)
        let isWanted = serving.withLock { serving in
            guard case .before = serving else { return false }
            serving = .on(pthread_self())
            return true
        }
        guard isWanted else { return }
        let result = unsafe cfuse_session_loop(session, Self.threadCount)
        serving.withLock { $0 = .ended }
        // Their answers come no more.
        failRetrievals()
        // 0: unmounted from outside, or `endServing`. The rest is a broken connection.
        if result < 0 { throw .loop(-result) }
    }

    func endServing() {
        // The server looks at the session, then waits: a signal between the two would be lost, so there are more.
        while true {
            let isServing = serving.withLock { serving in
                guard case .on(let server) = serving else {
                    serving = .ended
                    return false
                }
                unsafe fuse_session_exit(session)
                pthread_kill(server, Self.wakeUp)
                return true
            }
            if !isServing { return }
            usleep(5000)
        }
    }

    func abort() {
        guard let connection = mountedFileSystem?.connection else { return }
        writeHostFile("/sys/fs/fuse/connections/\(connection)/abort", "1")
    }

    func close() {
        // libfuse unmounts what is at the path: only if that is still what it mounted. The connection ends in any case.
        if mountedFileSystem?.isOnTop(at: configuration.mountpoint) == true {
            unsafe fuse_session_unmount(session)
        }
        unsafe fuse_session_destroy(session)
    }

    /// As many threads as processors serve best; two at least, so that one can serve what another waits for; and none
    /// for whose write-back a line has no room.
    private static var threadCount: UInt32 {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return UInt32(min(max(2, processors), LineState.writebackRoom))
    }

    /// How long the connection of what was unmounted may take to end, in milliseconds.
    private static let unmountTime: Int32 = 200

    private func startGuard() {
        var problem = "the mount is not in /proc/self/mountinfo"
        if let connection = mountedFileSystem?.connection {
            let result = cfuse_start_guard(connection)
            if result == 0 { return }
            problem =
                result == -ENOENT ? "/sys/fs/fuse/connections is not mounted" : errorText(-result)
        }
        // What was unmounted already needs none. It goes from the table of mounts before its connection ends.
        var connection = unsafe pollfd(fd: fuse_session_fd(session), events: 0, revents: 0)
        if unsafe poll(&connection, 1, Self.unmountTime) == 1 { return }
        warn("no guard against a killed daemon: \(problem)")
    }

    /// The kernel lets FUSE files have few dirty pages and writes back all others at once, as behind a slow disk. This one
    /// is memory: stores to mapped pages are to cost what they cost on tmpfs. Only root may say so.
    private func allowDirtyPages() {
        guard let mountedFileSystem else { return }
        let settings = "/sys/class/bdi/\(mountedFileSystem.device)/"
        writeHostFile(settings + "strict_limit", "0")
        writeHostFile(settings + "max_ratio", "100")
    }

    // MARK: INIT

    /// Fewer places in the background than this, and reads do not go there: see `negotiate`.
    private static let backgroundPlacesNeeded: UInt32 = 4096

    /// How many background requests the kernel lets this process have.
    private static var backgroundPlaces: UInt32 {
        if geteuid() == 0 { return UInt32(UInt16.max) }
        let limit = readHostFile("/sys/module/fuse/parameters/max_user_bgreq", limit: 32)
        return limit.flatMap { UInt32($0.split(separator: "\n").first ?? "") } ?? 0
    }

    /// Says which of the kernel's capabilities are used. Called by libfuse during INIT.
    func negotiate(_ connection: UnsafeMutablePointer<fuse_conn_info>) {
        let mapsDirectFiles = unsafe context.pointee.allows_direct_io_mmap
        var terms = TransportTerms(mapsDirectFiles: mapsDirectFiles)
        // A background request can wait here for a page that is to be written back, and write-backs are background
        // requests too: those that wait are kept to a part of the places there are.
        let places = Self.backgroundPlaces
        if places >= Self.backgroundPlacesNeeded {
            unsafe connection.pointee.max_background = places
            terms.backgroundPlaces = Int(places)
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
        if !mapsDirectFiles {
            // The kernel holds the locks of all pages of a cached write; with one, no recall can wait for another's.
            unsafe connection.pointee.max_write = UInt32(Page.size)
        }
        onInit(terms)
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
