import CFuse
import Glibc

/// A request, as whoever brought it knows it. Valid until the request is answered.
struct RequestToken: Hashable, Sendable {
    let rawValue: UInt
}

/// Where answers go: the one way from a `Reply` to the kernel. Any thread may answer.
protocol ReplySink: AnyObject, Sendable {
    /// Answers a request, whose token is not valid any more then. Returns false if the answer did not reach whoever made
    /// the request: it was interrupted and is gone, the connection is over, or the kernel refused the answer (it is EIO
    /// then).
    func answer(_ request: RequestToken, _ answer: Answer) -> Bool

    /// Who made the request; thread 0 for a write-back.
    func caller(of request: RequestToken) -> (thread: Int32, user: UInt32)

    /// The number of the request that the calling thread serves. It grows in the order in which the kernel sends requests.
    var currentNumber: UInt64 { get }

    /// Tells `handler` when whoever made the request does not want to wait any more, or did not even before. The
    /// handler outlives the request.
    func onInterruption(of request: RequestToken, tell handler: FaultLog)

    func isInterrupted(_ request: RequestToken) -> Bool
}

/// What a request is answered with. Bytes are valid while the answer is given.
@safe
enum Answer {
    /// An errno; 0 for one that has nothing to say but that all is well.
    case error(Int32)
    case written(Int)
    case bytes(UnsafeRawBufferPointer)
    /// `Reply.maximumParts` at most.
    case parts(UnsafeBufferPointer<iovec>)
    case entry(fuse_entry_param)
    case link(String)
    case attributes(stat, timeout: Double)
    case opened(UInt64, OpenFile.Options)
    case statistics(statvfs)
    case offset(UInt64)
    case result(Int, UnsafeRawBufferPointer)
    case events(UInt32)
    /// Names of a directory, as many as the size holds.
    case entries([DirectoryEntry], size: Int)
}

typealias DirectoryEntry = (name: String, node: NodeID, cookie: UInt64)

/// Somebody who polls a file and waits. Dropped when nobody waits any more.
protocol PollWatcher: AnyObject, Sendable {
    /// Says that the file is ready.
    func notify()
}
