import CFuse
import Glibc
import TagMemCore

extension FileSystem {
    /// How long the kernel may keep names and attributes that only it changes, in seconds.
    static let forever = 3600.0

    /// Attributes for the kernel to keep, and for how long, in seconds: those of memory until it is told of a change. It
    /// is only for a request of their own that it takes none that it was told of before it sees them.
    ///
    /// What has a set-ID bit loses it by a write, of which the kernel does not think; and through the page cache it is
    /// the kernel that waits while it writes.
    func attributesToKeep(of node: NodeID) throws(FileError) -> (stat, timeout: Double) {
        guard mapsDirectFiles, let alias = alias(of: node) else {
            return (try attributes(of: node), attributeTimeout(of: node))
        }
        directory.keepAttributes(of: alias)
        let attributes = try attributes(of: node)
        let hasSetID = attributes.st_mode & (ChangedAttributes.setUser | ChangedAttributes.setGroup) != 0
        return (attributes, timeout: hasSetID ? 0 : Self.forever)
    }

    /// The file of memory that a node is; nil if it is none.
    private func alias(of node: NodeID) -> Alias? {
        guard let role = node.role, role.showsObject, let object = object(of: node) else { return nil }
        return Alias(object: object, kind: AliasKind(role))
    }

    /// How long the kernel may keep attributes that come with other answers, in seconds: as long as only it changes them.
    /// Those of memory change with every access through another file.
    func attributeTimeout(of node: NodeID) -> Double {
        node.role == .faults || node.role?.showsObject == true || tree.entry(node.object) != nil
            ? 0 : Self.forever
    }

    func attributes(of node: NodeID) throws(FileError) -> stat {
        guard let role = node.role, hasFile(node) else { throw .notFound }
        let entry = tree.entry(node.object)
        var result = stat()
        result.st_ino = ino_t(node.rawValue)
        result.st_blksize = blksize_t(Page.size)
        result.st_nlink = links(to: role, entry)
        let changed = changedAttributes.of(node)
        let isPhysical = node.object == ObjectID.physical.number
        let permissions = role == .object ? entry?.permissions : nil
        result.st_mode =
            role.type
            | (changed?.permissions ?? permissions ?? role.defaultPermissions(isPhysical: isPhysical))
        result.st_uid = changed?.user ?? entry?.user ?? owner.user
        result.st_gid = changed?.group ?? entry?.group ?? owner.group
        let created = entry?.created ?? mountTime
        let content = contentChange(of: node, role)
        result.st_atim = changed?.accessTime ?? created
        result.st_mtim = changed?.modificationTime(after: content) ?? content.time ?? created
        result.st_ctim = [content.time, changed?.time, role == .object ? entry?.changed : nil]
            .reduce(created) { latest, time in time.map { latest < $0 ? $0 : latest } ?? latest }
        let (size, allocated) = try size(of: node, role)
        result.st_size = off_t(size)
        result.st_blocks = blkcnt_t((allocated + 511) / 512)
        return result
    }

    /// When what a file or a directory shows was changed last.
    private func contentChange(of node: NodeID, _ role: Role) -> ContentChange {
        if case .objects(let use) = role { return tree.changes(in: use) ?? ContentChange() }
        guard role.showsObject || role == .core, let object = object(of: node) else { return ContentChange() }
        let changes = directory.withObject(object) { $0.changes } ?? ContentChanges()
        switch role {
        case .tags, .tagsHex: return changes.tags
        case .core: return changes.all
        default: return changes.memory
        }
    }

    private func links(to role: Role, _ entry: ObjectTree.Entry?) -> nlink_t {
        if entry?.isRemoved == true { return 0 }
        switch role {
        case .root: return 7
        case .objects(let use): return 2 + nlink_t(tree.count(in: use))
        case .object: return entry?.use == .untagged ? 2 : 3
        case .firmware: return 3
        case .viewsDirectory, .controlDirectory, .deviceNode: return 2
        default: return 1
        }
    }

    /// The size of a file, and what of it is not a hole, in bytes.
    private func size(of node: NodeID, _ role: Role) throws(FileError) -> (UInt64, UInt64) {
        switch role {
        case .faults:
            let (start, end) = faultLog.extent
            return (UInt64(end), UInt64(end - start))
        case .blocks:
            let size = UInt64(BlocksFile.lineLength * directory.layout.tagBlocks.count)
            return (size, 0)
        case .flattenedTree: return (UInt64(firmware.blob.count), 0)
        case .deviceProperty: return (UInt64(firmware.entry(node)?.value?.count ?? 0), 0)
        case .deviceTreeLink: return (1, 0)
        default: break
        }
        guard node.object != 0, role != .deviceNode else { return (0, 0) }
        guard let object = object(of: node) else { throw .notFound }
        if role == .core { return (CoreLayout(objectSize: directory.size(of: .mem, object)).size, 0) }
        // Memory is counted once: the other files only show it. `checked` has no size to say, as /proc/PID/mem has none.
        guard let kind = AliasKind(role) else { return (0, 0) }
        let size = directory.shownSize(of: kind, object)
        guard role == .mem else { return (size, 0) }
        return (size, object.isPhysical ? physicalUse.bytes(dram) : directory.allocatedSize(of: object))
    }

    /// Which attributes a change names, as `fuse_set_attr_*` bits; sizes are others' business.
    func change(_ node: NodeID, to new: stat, _ which: Int32) throws(FileError) {
        guard let role = node.role, hasFile(node) else { throw .notFound }
        changedAttributes.change(node, to: new, which, content: contentChange(of: node, role))
    }

    /// To be called before a user's bytes are stored in a file: takes the set-user-ID and set-group-ID bits away, as other
    /// file systems do. (The kernel does it for chown and truncate.)
    func willWrite(_ node: NodeID, user: UInt32) {
        if user != 0 { changedAttributes.clearSetID(node) }
    }

    /// The object whose size a change of a file's size changes; nil for files that have none to change.
    func resizable(_ node: NodeID) -> ObjectID? {
        guard node.role == .mem, node.object > ObjectID.physical.number else { return nil }
        return object(of: node)
    }

    /// What df shows: all memory, and what of it can still be had; as tagged pages below `tagged`. As files it counts the
    /// objects that there can be.
    func statistics(at node: NodeID) -> statvfs {
        var result = statvfs()
        let isTagged =
            node.object > ObjectID.physical.number
            ? tree.entry(node.object)?.use == .tagged : node.role == .objects(.tagged)
        let (total, available, size) = directory.withPages { pages in
            let available =
                isTagged ? pages.allocator.availableTagged : pages.allocator.availableUntagged
            return (pages.allocator.totalPages, available, pages.layout.pageSize)
        }
        let objects = tree.count(in: .tagged) + tree.count(in: .untagged)
        result.f_bsize = UInt(size)
        result.f_frsize = UInt(size)
        result.f_blocks = fsblkcnt_t(total)
        result.f_bfree = fsblkcnt_t(available)
        result.f_bavail = fsblkcnt_t(available)
        result.f_files = fsfilcnt_t(ObjectTable.maximumObjects)
        result.f_ffree = fsfilcnt_t(ObjectTable.maximumObjects - min(objects, ObjectTable.maximumObjects))
        result.f_favail = result.f_ffree
        result.f_namemax = UInt(Self.maximumNameLength)
        return result
    }
}
