/// Pages of one alias's file that the kernel is to give back.
struct RecallJob {
    let aliases: ObjectAliases
    let kind: AliasKind
    /// Bytes of the alias's file, whole pages.
    var offset: UInt64
    var length: UInt64
    /// The order in which recalls of the lane were asked for. A repeated recall keeps its place.
    let sequence: UInt64
    let lane: RecallLane
    /// For pages that the object has lost: what waits until the kernel has lost them too.
    var ticket: ReleaseTicket?

    init(
        aliases: ObjectAliases, kind: AliasKind, offset: UInt64, length: UInt64, sequence: UInt64,
        lane: RecallLane, ticket: ReleaseTicket? = nil
    ) {
        self.aliases = aliases
        self.kind = kind
        self.offset = offset
        self.length = length
        self.sequence = sequence
        self.lane = lane
        self.ticket = ticket
    }

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

    var bit: UInt8 { 1 << UInt8(rawValue) }
}
