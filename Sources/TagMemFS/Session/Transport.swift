/// The connection to the kernel: how requests come in, and how answers and what the daemon has to say go out.
///
/// A transport begins mounted and ends with `close`. Requests are handed to the file system on the transport's own
/// threads, between the call of `serve` and its return.
protocol Transport: ReplySink, KernelNotifier {
    /// Serves until the file system is unmounted or `endServing` is called; returns when no thread serves any more,
    /// and what `retrieve` asked for has come or is nil. Requests can still be answered. Once.
    ///
    /// - Throws: `SessionError.loop` if the connection breaks.
    func serve() throws(SessionError)

    /// Lets `serve` return. From any thread; harmless when it has returned.
    func endServing()

    /// Ends the connection at once, whoever waits in the kernel: what is under way fails there.
    func abort()

    /// Unmounts and frees what `serve` used. Nobody may answer or notify any more.
    func close()
}

/// What the kernel and a transport have agreed upon.
struct TransportTerms {
    /// Whether files that are read directly can be mapped, too (FUSE_DIRECT_IO_ALLOW_MMAP).
    var mapsDirectFiles: Bool
    /// How many requests may wait in the background; nil if none waits there.
    var backgroundPlaces: Int?
}
