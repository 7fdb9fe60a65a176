import CFuse
import Glibc
import Synchronization

/// What chmod, chown and utimens have changed, of each file by itself. Thread-safe.
final class ChangedAttributes: Sendable {
    struct Change {
        var permissions: UInt32?
        var user: uid_t?
        var group: gid_t?
        var accessTime: timespec?
        /// When it was made.
        var time: timespec
        /// A time that was set, and how often the content had been changed then.
        fileprivate var modification: (time: timespec, contentCount: Int)?

        /// The modification time that was set, unless the content was changed since.
        func modificationTime(after content: ContentChange) -> timespec? {
            modification.flatMap { $0.contentCount == content.count ? $0.time : nil }
        }
    }

    /// S_ISUID, S_ISGID and S_IXGRP.
    static let setUser: UInt32 = 0o4000
    static let setGroup: UInt32 = 0o2000
    private static let groupExecutes: UInt32 = 0o010

    /// By objects, so that those of one can be forgotten together.
    private let changes = Guarded<[UInt64: [Role: Change]]>([:])
    /// Whether any file ever had one of the bits: if not, a write need not look.
    private let hasSetID = Atomic(false)

    func of(_ node: NodeID) -> Change? {
        guard let role = node.role else { return nil }
        return changes.withLock { $0[node.object]?[role] }
    }

    /// `which` are `fuse_set_attr_*` bits; `content` is what the file's bytes are at now.
    func change(_ node: NodeID, to new: stat, _ which: Int32, content: ContentChange) {
        guard let role = node.role else { return }
        let now = currentTime()
        changes.withLock { changes in
            var changed = changes[node.object]?[role] ?? Change(time: now)
            changed.time = now
            if which & FUSE_SET_ATTR_MODE != 0 { changed.permissions = new.st_mode & 0o7777 }
            if which & FUSE_SET_ATTR_UID != 0 { changed.user = new.st_uid }
            if which & FUSE_SET_ATTR_GID != 0 { changed.group = new.st_gid }
            if which & FUSE_SET_ATTR_ATIME != 0 { changed.accessTime = new.st_atim }
            if which & FUSE_SET_ATTR_ATIME_NOW != 0 { changed.accessTime = now }
            if which & FUSE_SET_ATTR_MTIME != 0 { changed.modification = (new.st_mtim, content.count) }
            if which & FUSE_SET_ATTR_MTIME_NOW != 0 { changed.modification = (now, content.count) }
            changes[node.object, default: [:]][role] = changed
        }
        if which & FUSE_SET_ATTR_MODE != 0, new.st_mode & (Self.setUser | Self.setGroup) != 0 {
            hasSetID.store(true, ordering: .relaxed)
        }
    }

    /// Takes the set-user-ID bit from a file, and the set-group-ID bit where its group may execute it.
    func clearSetID(_ node: NodeID) {
        guard hasSetID.load(ordering: .relaxed), let role = node.role else { return }
        changes.withLock { changes in
            guard var permissions = changes[node.object]?[role]?.permissions else { return }
            permissions &= ~Self.setUser
            if permissions & Self.groupExecutes != 0 { permissions &= ~Self.setGroup }
            changes[node.object]?[role]?.permissions = permissions
        }
    }

    func forget(_ object: ObjectID) { changes.withLock { $0[object.number] = nil } }
}
