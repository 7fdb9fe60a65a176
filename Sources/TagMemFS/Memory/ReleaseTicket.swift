import TagMemCore

/// Pages that an object has lost and the kernel, or somebody who copies, still has.
///
/// They are in use, pinned, and shown by nothing. Guarded by the directory's lock.
final class ReleaseTicket: @unchecked Sendable {
    let aliases: ObjectAliases
    var frames: [PageFrame] = []
    /// Recalls asked for and not done.
    var outstanding = 0
    /// Pages of `mem` to recall once its size change was answered: file offsets.
    var laterRecalls: [UInt64] = []

    init(_ aliases: ObjectAliases) { self.aliases = aliases }
}
