import CFuse
import Glibc
public import TagMemCore
public import TagMemDeviceTree

/// A mounted file system and the threads that serve it. See "A session" in Documentation/DESIGN.md.
public final class Session {
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

    private let fileSystem: FileSystem
    private let configuration: Configuration

    static let type = "tagmemd"

    /// - Throws: `DRAMError` or `AllocatorError`.
    public init(
        map: MemoryMap, layout: BlockLayout, deviceTree: DeviceTree, _ configuration: Configuration
    ) throws {
        fileSystem = try FileSystem(map: map, layout: layout, deviceTree: deviceTree)
        self.configuration = configuration
    }

    /// Mounts, serves until the file system is unmounted or a signal ends it, and unmounts.
    ///
    /// To be called once, on the main thread, before any other thread is started: the calling thread's signal mask is
    /// inherited by all others. `onReady` is called once, when requests are served, on a thread of its own, which it may
    /// keep. libfuse and the kernel explain a failure to mount on stderr (`SessionError.Explained`).
    public func run(onReady: @escaping @Sendable () -> Void) throws {
        Shutdown.blockSignals()
        cfuse_keep_freed_memory()
        let transport = try LibfuseTransport(configuration, serving: fileSystem) { [self] terms in
            accept(terms)
            startThread("ready", onReady)
        }
        fileSystem.start(transport)
        let shutdown = Shutdown(fileSystem: fileSystem, transport: transport)
        let result = Result { () throws(SessionError) in try transport.serve() }
        // Nothing to do if a signal has ended it; else the connection is over, and all that waits there fails.
        fileSystem.stop()
        shutdown.end()
        transport.close()
        if case .failure(let error) = result, !shutdown.wasRequested { throw error }
    }

    /// Adapts the file system to what the kernel can do. Before any other request is served.
    private func accept(_ terms: TransportTerms) {
        if !configuration.usesPageCache, !terms.mapsDirectFiles {
            warn(
                "this kernel (before 6.6) cannot map files that are read directly:"
                    + " mem and views go through the page cache and are checked page by page")
        }
        fileSystem.mapsDirectFiles = terms.mapsDirectFiles
        fileSystem.directory.look { $0.usesPageCache = !terms.mapsDirectFiles }
        if let places = terms.backgroundPlaces {
            // Half of the places are left for write-backs.
            fileSystem.directory.limitQueuedFills(to: places / 2)
        }
    }
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
