import CFuse
import Glibc
import TagMemCore
import TagMemDeviceTree

/// The mounted device: its memory, its tree of files, and what they share.
///
/// Lock order: `overrides`, `ObjectTree`, `CoherenceDirectory`, `FaultLog`, `PageWorker` and the files' own locks are all
/// leaves: none is taken while another is held, and none is held while a reply is given. (The tree's is held while a new
/// object gets its number from the directory.)
final class FileSystem: @unchecked Sendable {
    let dram: DRAM
    let counters = Counters()
    let faultLog: FaultLog
    let refusedFaults = RefusedFaults()
    let directory: CoherenceDirectory
    let recallers = RecallLane.allCases.map { Recaller($0) }
    let physical: ObjectAliases
    let tree = ObjectTree()
    let memory: ObjectMemory
    let firmware: FirmwareTree

    /// Whether memory files can be read byte by byte and mapped at the same time. Set before requests are served.
    var mapsDirectFiles = true

    let owner: (user: uid_t, group: gid_t)
    let mountTime: timespec
    let overrides = Guarded<[UInt64: [Role: AttributeOverride]]>([:])

    /// What chmod, chown and utimens changed.
    struct AttributeOverride {
        var permissions: UInt32?
        var user: uid_t?
        var group: gid_t?
        var accessTime: timespec?
        var modificationTime: timespec?
    }

    /// - Throws: `DRAMError` or `AllocatorError` if the process cannot have the address space.
    init(map: MemoryMap, layout: BlockLayout, deviceTree: DeviceTree) throws {
        firmware = FirmwareTree(deviceTree)
        dram = try DRAM(map: map)
        faultLog = FaultLog(counters: counters)
        physical = ObjectAliases(object: MemoryObject(physical: dram), number: 1)
        let recallers = recallers
        directory = try CoherenceDirectory(
            physical: physical, pages: PageStore(layout), counters: counters,
            wakeRecaller: { recallers[$0.rawValue].wake() })
        memory = ObjectMemory(directory)
        owner = (getuid(), getgid())
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        mountTime = now
    }

    /// Starts the threads that recall pages and that move them.
    func startThreads(session: OpaquePointer) {
        let pointer = unsafe UncheckedPointer(session)
        memory.onGrowth = { node, size in
            // The kernel may not know the file: then there is nothing to tell.
            unsafe cfuse_notify_size(pointer.pointer, node.rawValue, size)
        }
        for recaller in recallers { unsafe recaller.start(directory, session: session) }
        memory.worker.start()
    }

    /// The memory object whose number is part of a node's.
    func aliases(of node: NodeID) -> ObjectAliases? {
        node.object == physical.number ? physical : tree.entry(node.object)?.aliases
    }

    // MARK: Open files

    func open(_ node: NodeID, flags: Int32) throws(FileError) -> OpenFile {
        guard let role = node.role, hasFile(node) else { throw .notFound }
        if role.isDirectory { throw .isDirectory }
        let isWritable = flags & O_ACCMODE != O_RDONLY
        switch role {
        case .meminfo, .vmstat, .metrics, .map, .faults, .faultsPipe, .blocks:
            if isWritable { throw .accessDenied }
            return statisticsFile(node, role)
        case .flattenedTree, .deviceProperty:
            if isWritable { throw .accessDenied }
            return BytesFile(
                node: node, role == .flattenedTree ? firmware.blob : firmware.entry(node)?.value ?? [])
        case .deviceTreeLink: throw .invalid
        case .knob(let knob):
            return KnobFile(self, node: node, knob)
        default:
            guard let aliases = aliases(of: node) else { throw .notFound }
            return try objectFile(node, role, aliases, isWritable)
        }
    }

    private func statisticsFile(_ node: NodeID, _ role: Role) -> OpenFile {
        switch role {
        case .meminfo: ReportFile(node: node) { [statistics] in statistics.meminfo() }
        case .metrics: ReportFile(node: node) { [statistics] in statistics.openMetrics() }
        case .map: ReportFile(node: node) { [directory] in BlockMap(directory).text }
        case .faults: FaultsFile(node: node, log: faultLog)
        case .faultsPipe: FaultsPipeFile(node: node, log: faultLog)
        case .blocks: BlocksFile(node: node, directory)
        default: ReportFile(node: node) { [statistics] in statistics.vmstat() }
        }
    }

    private var statistics: Statistics { Statistics(directory, counters, map: dram.map, objects: tree) }

    private func objectFile(
        _ node: NodeID, _ role: Role, _ aliases: ObjectAliases, _ isWritable: Bool
    ) throws(FileError) -> OpenFile {
        switch role {
        case .mem: return try MemFile(self, node: node, aliases: aliases, kind: .mem, isWritable: isWritable)
        case .tags:
            return try TagsFile(self, node: node, aliases: aliases, kind: .tags, isWritable: isWritable)
        case .tagsHex:
            return try TagsHexFile(self, node: node, aliases: aliases, kind: .tagsHex, isWritable: isWritable)
        case .checked:
            return try CheckedFile(self, node: node, aliases: aliases, kind: nil, isWritable: isWritable)
        case .view(let tag):
            return try ViewFile(self, node: node, aliases: aliases, tag: tag, isWritable: isWritable)
        case .mode: return ModeFile(node: node, aliases: aliases, directory: directory)
        case .tfsr: return TfsrFile(node: node, aliases: aliases)
        case .pages:
            if isWritable { throw .accessDenied }
            return PagesFile(node: node, aliases, directory)
        default: throw .notSupported
        }
    }
}
