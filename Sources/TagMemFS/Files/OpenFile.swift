import Glibc
import TagMemCore

/// A file that somebody has open. One subclass for each kind of file.
///
/// Requests on one open file come from several threads at once.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
class OpenFile: @unchecked Sendable {
    let node: NodeID

    init(node: NodeID) { self.node = node }

    /// How the kernel is to treat the open file.
    struct Options {
        /// FOPEN_DIRECT_IO: reads and writes go through, byte by byte.
        var isDirect = true
        /// FOPEN_NONSEEKABLE and a stream: there are no offsets.
        var isStream = false
        /// Whether `close` waits for an answer, which costs a round trip.
        var reportsClose = false
        /// FOPEN_PARALLEL_DIRECT_WRITES: the kernel sends writes while others are under way. A writer whose source
        /// never comes would hold up all others.
        var writesInParallel = false
    }

    var options: Options { Options() }

    /// `isFill` for a read that fills the kernel's page cache.
    func read(_ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool) {
        reply.error(.accessDenied)
    }

    /// `isWriteback` for a page of a mapping that comes back. `bytes` is valid during the call.
    func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        reply.error(.accessDenied)
    }

    /// A descriptor is closed; others may be left.
    func flush(_ reply: consuming Reply) { reply.done() }

    func fsync(_ reply: consuming Reply) { reply.done() }

    /// fallocate(2). A size change is accepted and ignored; making holes would not be harmless.
    func allocate(_ reply: consuming Reply, _ range: Range<UInt64>, keepsSize: Bool, isHole: Bool) {
        if isHole { reply.error(.notSupported) } else { reply.done() }
    }

    func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) { reply.error(.notSupported) }

    /// ioctl(2). `argument` has what the command's number says that the device reads, and is valid during the call.
    func control(_ reply: consuming Reply, _ command: UInt32, _ argument: UnsafeRawBufferPointer) {
        reply.error(.unknownCommand)
    }

    /// `watcher` is somebody who is to be told when the answer changes; nobody if it is dropped.
    func poll(_ reply: consuming Reply, _ watcher: (any PollWatcher)?) {
        reply.events(UInt32(POLLIN | POLLOUT))
    }

    /// The last descriptor is gone.
    func released() {}
}
