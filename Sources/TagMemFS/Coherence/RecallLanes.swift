import DequeModule
import TagMemCore

/// Pages of one alias's file that the kernel is to give back.
struct RecallJob {
    let alias: Alias
    /// The alias's file.
    let kind: AliasKind
    /// Bytes of the file, whole pages.
    var offset: UInt64
    var length: UInt64
    /// The order in which recalls of the lane were asked for. A repeated recall keeps its place.
    let sequence: UInt64
    let lane: RecallLane
    /// For pages that the object has lost: what waits until the kernel has lost them too.
    var ticket: ReleaseTicket?

    var object: ObjectID { alias.object }
    var node: NodeID { NodeID(object: object.number, role: kind.role) }
    var end: UInt64 { offset + length }
}

/// Which thread does a recall.
///
/// The kernel holds back the write-backs of an inode whose size is being changed, until the change is answered. A
/// recall of that inode's dirty pages then waits for the answer, which may wait for other recalls: those must not stand
/// behind it. Only `mem` of an object has a size that is changed by more than an answer.
enum RecallLane: Int, CaseIterable, Sendable {
    /// Inodes whose size changes are answered at once; and pages of removed objects.
    case free
    /// `mem` of objects.
    case sized
}

/// Recalls that are done one after the other, each lane by a thread of its own.
struct RecallLanes {
    private var lanes = RecallLane.allCases.map { _ in Lane() }

    struct Lane {
        var jobs: Deque<RecallJob> = []
        /// What the thread is doing.
        var current: RecallJob?
        /// Jobs asked for so far.
        var sequence: UInt64 = 0
        /// All jobs up to this one are done.
        var doneSequence: UInt64 {
            let first = current ?? jobs.first
            return first.map { $0.sequence - 1 } ?? sequence
        }
    }

    subscript(lane: RecallLane) -> Lane {
        _read { yield lanes[lane.rawValue] }
        _modify { yield &lanes[lane.rawValue] }
    }

    var isRecalling: Bool { lanes.contains { $0.current != nil } }
}

/// Pages that an object has lost and the kernel, or somebody who copies, still has.
///
/// They are in use, pinned, and shown by nothing. Known to the directory's state alone, and so to one thread at a time.
final class ReleaseTicket {
    let object: ObjectID
    var frames: [PageFrame] = []
    /// Recalls asked for and not done.
    var outstanding = 0
    /// The job that waits for them.
    var waiter: JobTask?

    init(_ object: ObjectID) { self.object = object }
}
