import TagMemCore

/// Pages that an object has lost and the kernel, or somebody who copies, still has.
///
/// They are in use, pinned, and shown by nothing. Guarded by the directory's lock.
final class ReleaseTicket: @unchecked Sendable {
    let aliases: ObjectAliases
    var frames: [PageFrame] = []
    /// Recalls asked for and not done.
    var outstanding = 0

    init(_ aliases: ObjectAliases) { self.aliases = aliases }
}
