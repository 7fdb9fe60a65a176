import CFuse
import Glibc

/// A thread that recalls pages from the kernel, those of one lane.
///
/// A recall (FUSE_NOTIFY_INVAL_INODE) returns when the kernel has unmapped the pages and written back what was dirty,
/// which needs a thread that serves requests: so it is never done on one of those.
final class Recaller: Sendable {
    private let semaphore = Semaphore()
    private let lane: RecallLane

    init(_ lane: RecallLane) { self.lane = lane }

    /// Tells the thread that there is something to recall. Never blocks.
    func wake() { semaphore.post() }

    /// Starts the thread. Once.
    func start(_ directory: CoherenceDirectory, session: OpaquePointer) {
        let session = unsafe UncheckedPointer(session)
        startThread("recall-\(lane)") { [self] in
            while true {
                semaphore.wait()
                while let job = directory.nextRecall(lane) {
                    // An inode that the kernel does not know (ENOENT) has no pages.
                    unsafe fuse_lowlevel_notify_inval_inode(
                        session.pointer, job.aliases.node(of: job.kind).rawValue, off_t(job.offset),
                        off_t(job.length))
                    directory.finishRecall(lane)
                }
            }
        }
    }
}

/// A pointer to something that any thread may use.
@safe
struct UncheckedPointer: @unchecked Sendable {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { unsafe self.pointer = unsafe pointer }
}
