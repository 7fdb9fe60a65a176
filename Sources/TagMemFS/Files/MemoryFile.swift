import Glibc
import Synchronization
import TagMemCore

/// An open file that shows memory of an object: which bytes (`alias`), how (`codec`), and whether tags are checked
/// (`check`). `mem`, the views, `checked`, `tags` and `tags.hex` differ in nothing else.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class MemoryFile: OpenFile, CachedWriteFile, @unchecked Sendable {
    let fileSystem: FileSystem
    let dram: DRAM
    let directory: CoherenceDirectory
    let alias: Alias
    let codec: MemoryCodec
    let check: AccessCheck
    let isReadable: Bool
    let isWritable: Bool
    /// The processor that the open file is: what it checks pointers by, and chooses tags.
    let processor = Atomic(ProcessorState())

    var object: ObjectID { alias.object }
    /// nil for `checked`, which cannot be mapped.
    var kind: AliasKind? { alias.kind }

    /// Opens the file; `released` must follow.
    ///
    /// - Throws: `.notFound` if the object is gone.
    init(
        _ fileSystem: FileSystem, node: NodeID, _ alias: Alias, _ codec: MemoryCodec, _ check: AccessCheck,
        isReadable: Bool, isWritable: Bool
    ) throws(FileError) {
        self.fileSystem = fileSystem
        dram = fileSystem.dram
        directory = fileSystem.directory
        self.alias = alias
        self.codec = codec
        self.check = check
        self.isReadable = isReadable
        self.isWritable = isWritable
        super.init(node: node)
        guard directory.opened(alias, isWritable: isWritable) else { throw .notFound }
    }

    override func released() {
        if directory.closed(alias, isWritable: isWritable) { fileSystem.release(object) }
    }

    // MARK: What it is

    /// Whether requests go through, byte by byte, and not through the kernel's page cache.
    var isDirect: Bool { codec.showsTags || check == .pointer || fileSystem.mapsDirectFiles }

    override var options: Options {
        Options(isDirect: isDirect, reportsClose: closeCanReport, writesInParallel: !codec.showsTags)
    }

    /// The first offset behind the file's end. Of `checked`, behind the last tagged pointer: the file itself has no size
    /// to say, as /proc/PID/mem has none.
    var size: UInt64 {
        let size = directory.size(of: kind, object)
        guard check == .pointer else { return size }
        return TaggedPointer(address: size, tag: AddressTag(truncating: 15)).rawValue
    }

    /// A request as an access to memory.
    func access(
        _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
    ) throws(FileError) -> MemoryAccess {
        switch check {
        case .none: return MemoryAccess(purpose, alias, at: offset, count: count, user: user)
        case .tag(let tag):
            return MemoryAccess(purpose, alias, at: offset, count: count, tag: tag, user: user)
        case .pointer:
            let pointer = TaggedPointer(rawValue: offset)
            if pointer.hasBitsAboveTag { throw .invalid }
            if case .fill = purpose { throw .notSupported }
            let isChecked = processor.load(ordering: .relaxed).checks(pointer)
            return MemoryAccess(
                purpose, alias, at: pointer.address, count: count, tag: isChecked ? pointer.addressTag : nil,
                user: user)
        }
    }

    // MARK: Copies, of granted accesses

    /// Copies memory into the answer.
    func answer(_ reply: consuming Reply, _ access: MemoryAccess) {
        switch codec {
        case .hexTags:
            reply.bytes(
                HexTags.digits(of: packedTags(access.footprint), at: access.offset, count: access.count))
        case .bytes where check != .none: answerChecked(reply, access)
        case .bytes, .packedTags: replyMemory(reply, access.footprint, count: access.count)
        }
    }

    /// Copies bytes of a write into memory. Returns how many were taken.
    func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int {
        if codec.showsTags { fileSystem.counters.add(.tagWrites) }
        switch codec {
        case .hexTags: unsafe withPackedTags(bytes, access) { unsafe copy($0, to: access.footprint) }
        case .bytes where check != .none: return try unsafe storeChecked(bytes, access, thread: thread)
        case .bytes, .packedTags: unsafe copy(bytes, to: access.footprint)
        }
        return bytes.count
    }

    /// A page of a mapping comes back.
    func storeWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        switch codec {
        case .hexTags:
            unsafe withPackedTags(bytes, access) { unsafe storeTagWriteback($0, access.footprint) }
        case .bytes where check != .none: unsafe storeViewWriteback(bytes, access)
        case .bytes, .packedTags: unsafe storeTagWriteback(bytes, access.footprint)
        }
    }

    /// The packed tags of an access with the digits of `bytes` put in.
    private func withPackedTags(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var packed = packedTags(access.footprint)
        unsafe HexTags.merge(bytes, at: access.offset, into: &packed)
        unsafe packed.withUnsafeBytes { unsafe body($0) }
    }

    // MARK: Requests

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        beginRead(reply, at: offset, size: size, isFill: isFill)
    }

    override func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        if isWriteback { return unsafe writeBack(reply, at: offset, bytes) }
        unsafe beginWrite(reply, at: offset, bytes)
    }

    override func control(_ reply: consuming Reply, _ command: UInt32, _ argument: UnsafeRawBufferPointer) {
        fileSystem.counters.add(.ioctls)
        let request: MemoryIoctl
        do throws(FileError) {
            request = try unsafe MemoryIoctl(command, argument)
        } catch {
            return reply.error(error)
        }
        begin(reply, request)
    }

    override func flush(_ reply: consuming Reply) {
        if check == .none { reply.done() } else { reportDeferredFault(reply) }
    }

    /// Of tags, answers when the pages that changes of them took away are back: then the changes have taken effect
    /// everywhere. `mem` may show tag storage.
    override func fsync(_ reply: consuming Reply) {
        if check != .none { return directory.whenTold(reply) { [self] in reportDeferredFault($0) } }
        directory.afterRecalls(DeferredReply(reply) { [directory] in directory.whenTold($0) { $0.done() } })
    }

    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        if check == .pointer {
            seekByPointer(reply, from: offset, toData: toData)
        } else {
            seekByOffset(reply, from: offset, toData: toData)
        }
    }

    /// Of `mem`, room for a range of an object, or a hole; of the physical address space as of any other file: nothing.
    override func allocate(_ reply: consuming Reply, _ range: Range<UInt64>, keepsSize: Bool, isHole: Bool) {
        guard kind == .mem, !object.isPhysical else {
            return super.allocate(reply, range, keepsSize: keepsSize, isHole: isHole)
        }
        let done = DeferredReply(reply) { [directory, object] in
            directory.noteContent(of: object)
            directory.whenTold($0) { $0.done() }
        }
        if isHole {
            directory.start(PunchJob(object, range), then: done)
        } else {
            directory.populate(object, range, keepsSize: keepsSize, then: done)
        }
    }
}
