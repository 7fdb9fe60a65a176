import CFuse
import Glibc
import TagMemCore

/// The mounted device: its memory, its tree of files, and what they share.
///
/// Lock order: `overrides`, `CoherenceDirectory`, `FaultLog` and the files' own locks are all leaves: none is taken
/// while another is held, and none is held while a reply is given.
final class FileSystem: @unchecked Sendable {
    let dram: DRAM
    let counters = Counters()
    let faultLog: FaultLog
    let refusedFaults = RefusedFaults()
    let directory: CoherenceDirectory
    let recaller = Recaller()
    let physical: ObjectAliases

    /// Whether memory files can be read byte by byte and mapped at the same time. Set before requests are served.
    var mapsDirectFiles = true

    private let owner: (user: uid_t, group: gid_t)
    private let mountTime: timespec
    private let overrides = Guarded<[NodeID: AttributeOverride]>([:])

    /// What chmod, chown and utimens changed.
    private struct AttributeOverride {
        var permissions: UInt32?
        var user: uid_t?
        var group: gid_t?
        var accessTime: timespec?
        var modificationTime: timespec?
    }

    /// - Throws: `DRAMError` if the process cannot have the address space.
    init(map: MemoryMap) throws(DRAMError) {
        dram = try DRAM(map: map)
        faultLog = FaultLog(counters: counters)
        physical = ObjectAliases(object: MemoryObject(physical: dram), number: 1)
        let recaller = recaller
        directory = try CoherenceDirectory(
            physical: physical, counters: counters, wakeRecaller: { recaller.wake() })
        owner = (getuid(), getgid())
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        mountTime = now
    }

    // MARK: The tree

    /// The memory object whose number is part of a node's.
    func aliases(of node: NodeID) -> ObjectAliases? { node.object == physical.number ? physical : nil }

    /// The names in a directory, in the order of `ls`.
    func children(of node: NodeID) throws(FileError) -> [(name: String, node: NodeID)] {
        switch node.role {
        case .root:
            return [
                ("faults", NodeID(object: 0, role: .faults)),
                ("faults_pipe", NodeID(object: 0, role: .faultsPipe)),
                ("meminfo", NodeID(object: 0, role: .meminfo)),
                ("phys", NodeID(object: physical.number, role: .object)),
                ("vmstat", NodeID(object: 0, role: .vmstat)),
            ]
        case .object:
            let files: [(String, Role)] = [
                ("checked", .checked), ("mem", .mem), ("mode", .mode), ("tags", .tags),
                ("tags.hex", .tagsHex),
                ("tfsr", .tfsr), ("views", .viewsDirectory),
            ]
            return files.map { ($0, NodeID(object: node.object, role: $1)) }
        case .viewsDirectory:
            return AddressTag.all.map { ($0.digit, NodeID(object: node.object, role: .view($0))) }
        default:
            throw .notDirectory
        }
    }

    func parent(of node: NodeID) -> NodeID {
        if case .viewsDirectory = node.role { return NodeID(object: node.object, role: .object) }
        return .root
    }

    /// In bytes.
    private static let maximumNameLength = 255

    func lookUp(_ name: String, in parent: NodeID) throws(FileError) -> NodeID {
        if name.utf8.count > Self.maximumNameLength { throw .nameTooLong }
        guard let child = try children(of: parent).first(where: { $0.name == name }) else { throw .notFound }
        return child.node
    }

    // MARK: Attributes

    /// How long the kernel may keep attributes, in seconds: as long as only it changes them.
    func attributeTimeout(of node: NodeID) -> Double { node.role == .faults ? 0 : Self.forever }

    /// How long the kernel may keep names and attributes that only it changes, in seconds.
    static let forever = 3600.0

    func attributes(of node: NodeID) throws(FileError) -> stat {
        guard let role = node.role else { throw .notFound }
        var result = stat()
        result.st_ino = ino_t(node.rawValue)
        result.st_blksize = blksize_t(Page.size)
        result.st_nlink = role.isDirectory ? 2 + subdirectories(of: role) : 1
        let changed = overrides.withLock { $0[node] }
        let type = role.isDirectory ? cfuse_S_IFDIR : cfuse_S_IFREG
        result.st_mode = type | (changed?.permissions ?? role.defaultPermissions)
        result.st_uid = changed?.user ?? owner.user
        result.st_gid = changed?.group ?? owner.group
        result.st_atim = changed?.accessTime ?? mountTime
        result.st_mtim = changed?.modificationTime ?? mountTime
        result.st_ctim = mountTime
        let (size, allocated) = try size(of: node, role)
        result.st_size = off_t(size)
        result.st_blocks = blkcnt_t(allocated / 512)
        return result
    }

    private func subdirectories(of role: Role) -> nlink_t { role == .viewsDirectory ? 0 : 1 }

    /// The size of a file, and what of it is not a hole, in bytes.
    private func size(of node: NodeID, _ role: Role) throws(FileError) -> (UInt64, UInt64) {
        if role == .faults {
            let (start, end) = faultLog.extent
            return (UInt64(end), UInt64(end - start))
        }
        guard node.object != 0 else { return (0, 0) }
        guard let object = aliases(of: node)?.object else { throw .notFound }
        switch role {
        case .mem, .view: return (object.end, object.memorySize)
        case .tags:
            return (object.end / TagGranule.bytesPerTagByte, object.memorySize / TagGranule.bytesPerTagByte)
        case .tagsHex: return (object.end / TagGranule.size, object.memorySize / TagGranule.size)
        case .checked:
            return (TaggedPointer(address: object.end, tag: AddressTag(truncating: 15)).rawValue, 0)
        default: return (0, 0)
        }
    }

    /// Which attributes a change names, as `fuse_set_attr_*` bits; sizes are accepted and ignored.
    func change(_ node: NodeID, to new: stat, _ which: Int32) throws(FileError) {
        guard node.role != nil else { throw .notFound }
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        overrides.withLock { overrides in
            var changed = overrides[node] ?? AttributeOverride()
            if which & FUSE_SET_ATTR_MODE != 0 { changed.permissions = new.st_mode & 0o7777 }
            if which & FUSE_SET_ATTR_UID != 0 { changed.user = new.st_uid }
            if which & FUSE_SET_ATTR_GID != 0 { changed.group = new.st_gid }
            if which & FUSE_SET_ATTR_ATIME != 0 { changed.accessTime = new.st_atim }
            if which & FUSE_SET_ATTR_MTIME != 0 { changed.modificationTime = new.st_mtim }
            if which & FUSE_SET_ATTR_ATIME_NOW != 0 { changed.accessTime = now }
            if which & FUSE_SET_ATTR_MTIME_NOW != 0 { changed.modificationTime = now }
            overrides[node] = changed
        }
    }

    /// What df shows: all memory, tag storage included.
    func statistics() -> statvfs {
        var result = statvfs()
        let pages = fsblkcnt_t((dram.map.dataSize + dram.map.tagStorageSize) / Page.size)
        result.f_bsize = UInt(Page.size)
        result.f_frsize = UInt(Page.size)
        result.f_blocks = pages
        result.f_bfree = pages
        result.f_bavail = pages
        result.f_namemax = UInt(Self.maximumNameLength)
        return result
    }

    // MARK: Open files

    func open(_ node: NodeID, flags: Int32) throws(FileError) -> OpenFile {
        guard let role = node.role else { throw .notFound }
        if role.isDirectory { throw .isDirectory }
        let isWritable = flags & O_ACCMODE != O_RDONLY
        switch role {
        case .meminfo, .vmstat, .faults, .faultsPipe:
            if isWritable { throw .accessDenied }
            return statisticsFile(node, role)
        default:
            guard let aliases = aliases(of: node) else { throw .notFound }
            return try objectFile(node, role, aliases, isWritable)
        }
    }

    private func statisticsFile(_ node: NodeID, _ role: Role) -> OpenFile {
        switch role {
        case .meminfo: MeminfoFile(node: node, map: dram.map)
        case .faults: FaultsFile(node: node, log: faultLog)
        case .faultsPipe: FaultsPipeFile(node: node, log: faultLog)
        default: VmstatFile(node: node, counters: counters)
        }
    }

    private func objectFile(
        _ node: NodeID, _ role: Role, _ aliases: ObjectAliases, _ isWritable: Bool
    ) throws(FileError) -> OpenFile {
        switch role {
        case .mem: MemFile(self, node: node, aliases: aliases, kind: .mem, isWritable: isWritable)
        case .tags: TagsFile(self, node: node, aliases: aliases, kind: .tags, isWritable: isWritable)
        case .tagsHex: TagsHexFile(self, node: node, aliases: aliases, kind: .tagsHex, isWritable: isWritable)
        case .checked: CheckedFile(self, node: node, aliases: aliases, kind: nil, isWritable: isWritable)
        case .view(let tag): ViewFile(self, node: node, aliases: aliases, tag: tag, isWritable: isWritable)
        case .mode: ModeFile(node: node, aliases: aliases, directory: directory)
        case .tfsr: TfsrFile(node: node, aliases: aliases)
        default: throw .notSupported
        }
    }
}
