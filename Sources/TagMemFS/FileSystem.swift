import Glibc
import TagMemCore
import TagMemDeviceTree

/// The mounted device: its memory, its tree of files, and what they share.
///
/// Lock order: all locks are leaves: none is taken while another is held, and none is held while a reply is given.
///
/// Unchecked: what is set before requests are served is constant from then on, the rest is `Guarded`.
final class FileSystem: @unchecked Sendable {
    let dram: DRAM
    let counters = Counters()
    let faultLog: FaultLog
    let refusedFaults: RefusedFaults
    let delayedAnswers = DelayedAnswers()
    let directory: CoherenceDirectory
    let threads: MemoryThreads
    let tree = ObjectTree()
    let firmware: FirmwareTree

    /// Whether memory files can be read byte by byte and mapped at the same time. Set before requests are served.
    var mapsDirectFiles = true

    let owner: (user: uid_t, group: gid_t)
    let mountTime: timespec
    let changedAttributes = ChangedAttributes()
    let physicalUse = PhysicalUse()
    let texts = TextCache()

    /// - Throws: `DRAMError` or `AllocatorError` if the process cannot have the address space.
    init(map: MemoryMap, layout: BlockLayout, deviceTree: DeviceTree) throws {
        firmware = FirmwareTree(deviceTree)
        dram = try DRAM(map: map)
        faultLog = FaultLog(counters: counters)
        refusedFaults = RefusedFaults(
            later: { [delayedAnswers] in delayedAnswers.schedule(after: $0, $1) },
            record: { [faultLog] in faultLog.record($0) })
        let bells = MemoryThreads.Bells()
        directory = try CoherenceDirectory(
            physical: MemoryObject(physical: dram), pages: PageStore(layout), counters: counters,
            wake: { bells.ring($0) })
        threads = MemoryThreads(directory, bells)
        owner = (getuid(), getgid())
        mountTime = currentTime()
    }

    /// Starts the threads that do what those that serve requests do not.
    func start(_ notifier: any KernelNotifier) {
        threads.start(notifier)
        delayedAnswers.start()
    }

    /// How long recalls may take to finish, in milliseconds.
    private static let patience = 2000

    /// Answers all that waits, refuses what would have to, and ends the threads. Harmless when that is done; what has
    /// come since is answered then.
    ///
    /// To be called while requests are served: recalls wait in the kernel for write-backs. If one does not return for
    /// too long, `abort` is called, which is to make it.
    func stop(orElse abort: () -> Void = {}) {
        directory.drain()
        faultLog.drain()
        var waited = 0
        while directory.isRecalling, waited < Self.patience {
            usleep(1000)
            waited += 1
        }
        if directory.isRecalling { abort() }
        delayedAnswers.stop()
        threads.stop()
    }

    /// The memory object whose number is part of a node's.
    func object(of node: NodeID) -> ObjectID? {
        node.object == ObjectID.physical.number ? .physical : tree.entry(node.object)?.id
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
            guard let object = object(of: node) else { throw .notFound }
            return try objectFile(
                node, role, object, isReadable: flags & O_ACCMODE != O_WRONLY, isWritable: isWritable)
        }
    }

    private func statisticsFile(_ node: NodeID, _ role: Role) -> OpenFile {
        switch role {
        case .meminfo: ReportFile(node: node, texts) { [statistics] in statistics.meminfo() }
        case .metrics: ReportFile(node: node, texts) { [statistics] in statistics.openMetrics() }
        case .map: ReportFile(node: node, texts) { [directory] in BlockMap(directory).text }
        case .faults: FaultsFile(node: node, log: faultLog, directory)
        case .faultsPipe: FaultsPipeFile(node: node, log: faultLog, directory)
        case .blocks: BlocksFile(node: node, directory)
        default: ReportFile(node: node, texts) { [statistics] in statistics.vmstat() }
        }
    }

    private var statistics: Statistics { Statistics(directory, counters, map: dram.map, objects: tree) }

    private func objectFile(
        _ node: NodeID, _ role: Role, _ object: ObjectID, isReadable: Bool, isWritable: Bool
    ) throws(FileError) -> OpenFile {
        func file(_ kind: AliasKind?, _ codec: MemoryCodec, _ check: AccessCheck) throws(FileError)
            -> OpenFile
        {
            try MemoryFile(
                self, node: node, Alias(object: object, kind: kind), codec, check, isReadable: isReadable,
                isWritable: isWritable)
        }
        switch role {
        case .mem: return try file(.mem, .bytes, .none)
        case .view(let tag): return try file(.view(tag), .bytes, .tag(tag))
        case .checked: return try file(nil, .bytes, .pointer)
        case .tags: return try file(.tags, .packedTags, .none)
        case .tagsHex: return try file(.tagsHex, .hexTags, .none)
        case .mode: return ModeFile(self, node: node, object)
        case .tfsr: return TfsrFile(self, node: node, object)
        case .pages:
            if isWritable { throw .accessDenied }
            return PagesFile(node: node, object, directory)
        case .core:
            if isWritable { throw .accessDenied }
            return try CoreFile(self, node: node, object)
        default: throw .notSupported
        }
    }
}
