import CFuse
import Glibc
import TagMemCore

/// An open file that shows memory: what `mem`, the views, `checked`, `tags` and `tags.hex` have in common.
///
/// A request is an access: the directory resolves and admits it, then it copies and answers. Subclasses say how bytes of
/// the file and bytes of memory correspond.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
class MemoryFile: OpenFile, CachedWriteFile, @unchecked Sendable {
    let fileSystem: FileSystem
    let dram: DRAM
    let directory: CoherenceDirectory
    let alias: Alias
    let isWritable: Bool

    var object: ObjectID { alias.object }
    /// nil for `checked`, which cannot be mapped.
    var kind: AliasKind? { alias.kind }
    /// Whether requests go through, byte by byte, and not through the kernel's page cache.
    var isDirect: Bool { true }

    /// Opens the file; `released` must follow.
    ///
    /// - Throws: `.notFound` if the object is gone.
    init(_ fileSystem: FileSystem, node: NodeID, _ alias: Alias, isWritable: Bool) throws(FileError) {
        self.fileSystem = fileSystem
        dram = fileSystem.dram
        directory = fileSystem.directory
        self.alias = alias
        self.isWritable = isWritable
        super.init(node: node)
        guard directory.opened(alias, isWritable: isWritable) else { throw .notFound }
    }

    override func released() {
        if directory.closed(alias, isWritable: isWritable) { fileSystem.release(object) }
    }

    // MARK: What a subclass says

    /// The first offset behind the file's end.
    var size: UInt64 { directory.size(of: kind, object) }

    /// A request as an access to memory.
    func access(
        _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
    ) throws(FileError) -> MemoryAccess {
        MemoryAccess(purpose, alias, at: offset, count: count, user: user)
    }

    /// Copies memory into the answer. The access is granted.
    func answer(_ reply: consuming Reply, _ access: MemoryAccess) {
        replyMemory(reply, access.footprint, count: access.count)
    }

    /// Copies bytes of a write into memory. The access is granted. Returns how many were taken.
    func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int {
        unsafe copy(bytes, to: access.footprint)
        return bytes.count
    }

    /// Checks the bytes of a write, or those of a page that comes back and that the file has.
    func validate(_ bytes: UnsafeRawBufferPointer, isWriteback: Bool) throws(FileError) {}

    /// A page of a mapping comes back.
    func storeWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        unsafe copy(bytes, to: access.footprint)
    }

    /// A page of a mapping was refused. Returns when to answer, in nanoseconds from now.
    func refuse(_ access: MemoryAccess, at address: PhysicalAddress?, thread: Int32) -> Int { 0 }

    // MARK: Reads

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        fileSystem.counters.add(isFill ? .fills : .reads)
        do throws(FileError) {
            let purpose: MemoryAccess.Purpose =
                isFill ? .fill(pages: (size - 1) / Int(Page.size) + 1) : .read
            var access = try access(purpose, at: offset, count: size, user: reply.user)
            if isFill, !isDirect { access.number = reply.number }
            switch directory.begin(&access) {
            case .decided(let grant): finishRead(reply, access, grant)
            case .queued(let ticket): directory.wait(ticket, DeferredRead(self, reply))
            }
        } catch {
            reply.error(error)
        }
    }

    func finishRead(_ reply: consuming Reply, _ access: MemoryAccess, _ grant: Grant) {
        switch grant {
        case .granted:
            if access.isFill, access.tag != nil { fileSystem.refusedFaults.forget(thread: reply.thread) }
            answer(reply, access)
            directory.end(access)
        case .endOfFile:
            reply.endOfFile()
        case .mismatch(let address):
            if access.requested > Int(Page.size) { return refuseReadahead(reply, access) }
            let delay = refuse(access, at: address, thread: reply.thread)
            if delay == 0 { return reply.error(.tagCheckFault) }
            let reply = ReplySlot(reply)
            fileSystem.delayedAnswers.give(after: delay) { reply.take()?.error(.tagCheckFault) }
        case .failed(.readaheadRefused):
            refuseReadahead(reply, access)
        case .failed(let error):
            reply.error(error)
        }
    }

    /// The kernel comes back for the pages of a batch one by one, which says which of them is meant.
    private func refuseReadahead(_ reply: consuming Reply, _ access: MemoryAccess) {
        fileSystem.counters.add(.readaheadRefusals)
        fileSystem.refusedFaults.batchWasRefused(
            thread: reply.thread, node: node, offset: access.offset, count: access.requested)
        reply.error(.readaheadRefused)
    }

    // MARK: Writes

    override func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        if isWriteback { return unsafe writeBack(reply, at: offset, bytes) }
        fileSystem.counters.add(.writes)
        fileSystem.willWrite(node, user: reply.user)
        if unsafe bytes.isEmpty { return reply.written(0) }
        do throws(FileError) {
            try unsafe validate(bytes, isWriteback: false)
            guard isDirect else { return unsafe writeCached(reply, at: offset, bytes) }
            var access = try access(.write, at: offset, count: bytes.count, user: reply.user)
            switch directory.begin(&access) {
            case .decided(let grant): unsafe finishWrite(reply, bytes, access, grant)
            case .queued(let ticket): unsafe directory.wait(ticket, DeferredWrite(self, reply, bytes))
            }
        } catch {
            reply.error(error)
        }
    }

    private func writeCached(_ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        let (user, thread, number) = (reply.user, reply.thread, reply.number)
        let reply = ReplySlot(reply)
        let write = unsafe CachedWrite(
            self, at: offset, Array(bytes), user: user, thread: thread, number: number
        ) { count, error in
            guard let reply = reply.take() else { return }
            if let error { reply.error(error) } else { reply.written(count) }
        }
        write.begin()
    }

    func finishWrite(
        _ reply: consuming Reply, _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, _ grant: Grant
    ) {
        switch grant {
        case .granted:
            let taken = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<access.count])
            do throws(FileError) {
                let count = try unsafe store(taken, access, thread: reply.thread)
                if directory.end(access) { return reply.written(count) }
                directory.whenTold(reply) { $0.written(count) }
            } catch {
                directory.endRefused(access)
                reply.error(error)
            }
        case .failed(let error):
            reply.error(error)
        case .mismatch, .endOfFile:
            preconditionFailure("writes are checked while they copy, and end nowhere")
        }
    }

    /// A page of a mapping comes back: it is served at once, whatever else is going on.
    private func writeBack(_ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        fileSystem.counters.add(.writebacks)
        guard kind != nil else { return reply.error(.notSupported) }
        let access = unsafe directory.beginWriteback(alias, at: offset, bytes)
        var refusal: FileError?
        do throws(FileError) {
            if access.count > 0 {
                let known = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<access.count])
                try unsafe validate(known, isWriteback: true)
                unsafe storeWriteback(known, access)
            }
        } catch {
            refusal = error
        }
        // Before the answer: a recall that waits for it is over then, and what follows is to find that the page is back.
        directory.end(access)
        if let refusal { return reply.error(refusal) }
        // What lies behind an object's end by now is nobody's any more.
        if access.count == 0, object.isPhysical, let stop = access.footprint.stop { return reply.error(stop) }
        reply.written(bytes.count)
    }

    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        let scale = alias.scale
        // The tags of 32 bytes begun are there as a whole, also where an object ends in their midst.
        let unit = alias.showsTags ? TagGranule.bytesPerTagByte : 1
        guard offset < size, let next = next(memory: toData, from: offset * scale / unit * unit) else {
            return reply.error(.pastEnd)
        }
        let found = (toData ? next / unit : (next + unit - 1) / unit) * unit / scale
        reply.offset(min(max(offset, found), size))
    }

    /// Answers when the pages that changes of tags took away are back: then the changes have taken effect everywhere.
    func replyAfterRecalls(_ reply: consuming Reply) {
        directory.afterRecalls(DeferredReply(reply) { [directory] in directory.whenTold($0) { $0.done() } })
    }
}
