import CFuse
import Glibc
import TagMemCore

/// An open file that shows memory: what `mem`, the views, `checked`, `tags` and `tags.hex` have in common.
///
/// A request is resolved to a footprint, claims its lines, copies and answers. Subclasses say how bytes of the file
/// and bytes of memory correspond.
class MemoryFile: OpenFile, @unchecked Sendable {
    unowned let fileSystem: FileSystem
    let aliases: ObjectAliases
    /// nil for `checked`, which cannot be mapped.
    let kind: AliasKind?
    let isWritable: Bool

    var object: MemoryObject { aliases.object }
    var dram: DRAM { aliases.object.dram }
    var directory: CoherenceDirectory { fileSystem.directory }

    /// Opens the file; `released` must follow.
    ///
    /// - Throws: `.notFound` if the object is gone.
    init(
        _ fileSystem: FileSystem, node: NodeID, aliases: ObjectAliases, kind: AliasKind?, isWritable: Bool
    ) throws(FileError) {
        self.fileSystem = fileSystem
        self.aliases = aliases
        self.kind = kind
        self.isWritable = isWritable
        super.init(node: node)
        guard directory.opened(kind, aliases, isWritable: isWritable) else { throw .notFound }
    }

    override func released() {
        if directory.closed(kind, aliases, isWritable: isWritable) { fileSystem.release(aliases) }
    }

    // MARK: What a subclass says

    /// The first offset behind the file's end.
    var size: UInt64 { directory.size(of: kind, aliases) }

    /// The tag that an access at `offset` is checked against.
    func checkedTag(at offset: UInt64) -> AddressTag? { nil }

    /// The footprint of a range, or why there is none.
    func footprint(at offset: UInt64, count: Int, handsOut: Bool = false) throws(FileError) -> Footprint {
        guard let kind else { throw .notSupported }
        return directory.footprint(of: kind, aliases, at: offset, count: count, handsOut: handsOut)
    }

    /// How many bytes of the file a footprint covers of `count` from `offset`.
    func covered(_ footprint: Footprint, at offset: UInt64, count: Int) -> Int { footprint.count }

    /// Copies memory into the answer. The claim is granted.
    func answer(_ reply: consuming Reply, _ access: MemoryAccess, mode: TagCheckMode) {
        replyMemory(reply, access.footprint, count: access.count)
    }

    /// Copies bytes of a write into memory. The claim is granted. Returns how many were taken.
    func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, mode: TagCheckMode, thread: Int32
    ) throws(FileError) -> Int {
        unsafe copy(bytes, to: access.footprint)
        return bytes.count
    }

    /// Checks the bytes of a write before anything is claimed.
    func validate(_ bytes: UnsafeRawBufferPointer) throws(FileError) {}

    /// A page of a mapping comes back.
    func storeWriteback(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint) {
        unsafe copy(bytes, to: footprint)
    }

    /// A page of a mapping was refused.
    func refuse(_ access: MemoryAccess, at address: PhysicalAddress, mode: TagCheckMode, thread: Int32) {}

    // MARK: Requests

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        fileSystem.counters.add(isFill ? .fills : .reads)
        do throws(FileError) {
            guard !isFill || kind != nil else { throw .notSupported }
            let footprint = try footprint(at: offset, count: size, handsOut: isFill)
            let count = covered(footprint, at: offset, count: size)
            if isFill, footprint.needsPages {
                if size > Int(Page.size) { throw .readaheadRefused }
                return populate(reply, at: offset, count: count) { file, reply in
                    file.read(reply, at: offset, size: size, isFill: true, isNonblocking: isNonblocking)
                }
            }
            if isFill {
                // A short answer would tell the kernel that the file ends here.
                guard size > 0, count == size || offset + UInt64(count) >= self.size else {
                    throw footprint.stop ?? .invalid
                }
                // The kernel may take the files that it does not truncate itself for longer than they are. It would
                // keep pages of zeros behind the end that nobody knows of.
                if kind != .mem, size - count >= Int(Page.size) {
                    throw count == 0 ? .pastEnd : .readaheadRefused
                }
            } else if count == 0 {
                if footprint.stop == .pastEnd || size == 0 { return reply.endOfFile() }
                throw footprint.stop ?? .invalid
            }
            let purpose: Claim.Purpose = isFill ? .fill(pages: (size - 1) / Int(Page.size) + 1) : .read
            let claim = Claim(
                purpose, aliases: aliases, kind: kind, checkedTag: checkedTag(at: offset),
                footprint: footprint)
            let access = MemoryAccess(
                claim: claim, footprint: footprint, offset: offset, count: count, requested: size)
            switch directory.begin(claim) {
            case .decided(let grant): finishRead(reply, access, grant)
            case .queued(let waiter): directory.wait(waiter, DeferredRead(self, reply, access))
            }
        } catch {
            reply.error(error)
        }
    }

    func finishRead(_ reply: consuming Reply, _ access: MemoryAccess, _ grant: Grant) {
        switch grant {
        case .stale:
            read(
                reply, at: access.offset, size: access.requested, isFill: access.claim.handsOut,
                isNonblocking: false)
        case .failed(.readaheadRefused):
            refuseReadahead(reply, access)
        case .failed(let error):
            reply.error(error)
        case .mismatch(let address, let mode):
            if access.count > Int(Page.size) { return refuseReadahead(reply, access) }
            refuse(access, at: address, mode: mode, thread: reply.thread)
            reply.error(.tagCheckFault)
        case .granted(let mode):
            if access.claim.handsOut, access.claim.checkedTag != nil {
                fileSystem.refusedFaults.forget(thread: reply.thread)
            }
            answer(reply, access, mode: mode)
            directory.end(access.claim)
        }
    }

    /// The kernel comes back for the pages of a batch one by one, which says which of them is meant.
    private func refuseReadahead(_ reply: consuming Reply, _ access: MemoryAccess) {
        fileSystem.counters.add(.readaheadRefusals)
        fileSystem.refusedFaults.batchWasRefused(
            thread: reply.thread, node: node, offset: access.offset, count: access.count)
        reply.error(.readaheadRefused)
    }

    override func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        if isWriteback { return unsafe writeBack(reply, at: offset, bytes) }
        fileSystem.counters.add(.writes)
        do throws(FileError) {
            try unsafe validate(bytes)
            if growsObject, try needsRoom(offset, bytes.count) {
                let bytes = unsafe Array(bytes)
                return grow(reply, to: offset + UInt64(bytes.count)) { file, reply in
                    file.write(again: reply, at: offset, bytes)
                }
            }
            let footprint = try footprint(at: offset, count: bytes.count)
            let count = covered(footprint, at: offset, count: bytes.count)
            guard count > 0 else {
                if unsafe bytes.isEmpty { return reply.written(0) }
                throw footprint.stop ?? .invalid
            }
            if footprint.needsPages {
                let kept = unsafe Array(bytes)
                return populate(reply, at: offset, count: count) { file, reply in
                    file.write(again: reply, at: offset, kept)
                }
            }
            let isCached = !options.isDirect
            let claimed =
                isCached
                ? try self.footprint(
                    at: Page.start(offset),
                    count: Int(Page.start(offset + UInt64(count) - 1) + Page.size - Page.start(offset)),
                    handsOut: true)
                : footprint
            // The object's pages may have moved between the two.
            if claimed.version != footprint.version {
                return unsafe write(reply, at: offset, bytes, isWriteback: false)
            }
            let claim = Claim(
                isCached ? .cachedWrite : .write, aliases: aliases, kind: kind,
                checkedTag: checkedTag(at: offset),
                footprint: claimed)
            let access = MemoryAccess(
                claim: claim, footprint: footprint, offset: offset, count: count, requested: bytes.count)
            let taken = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
            switch directory.begin(claim) {
            case .decided(let grant): unsafe finishWrite(reply, taken, access, grant)
            case .queued(let waiter): unsafe directory.wait(waiter, DeferredWrite(self, reply, taken, access))
            }
        } catch {
            reply.error(error)
        }
    }

    func finishWrite(
        _ reply: consuming Reply, _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, _ grant: Grant
    ) {
        switch grant {
        case .stale:
            unsafe write(reply, at: access.offset, bytes, isWriteback: false)
        case .failed(let error):
            reply.error(error)
        case .mismatch:
            preconditionFailure("writes are checked while they copy")
        case .granted(let mode):
            do throws(FileError) {
                let count = try unsafe store(bytes, access, mode: mode, thread: reply.thread)
                directory.end(access.claim)
                reply.written(count)
            } catch {
                directory.end(access.claim)
                reply.error(error)
            }
        }
    }

    /// A page of a mapping comes back: it is served at once, whatever else is going on.
    private func writeBack(_ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        fileSystem.counters.add(.writebacks)
        do throws(FileError) {
            try unsafe validate(bytes)
            guard let kind else { throw .notSupported }
            let claim = directory.beginWriteback(of: kind, aliases, at: offset, count: bytes.count)
            let count = covered(claim.footprint, at: offset, count: bytes.count)
            if count > 0 {
                unsafe storeWriteback(
                    UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset, claim.footprint)
            }
            directory.end(claim)
            // What lies behind an object's end by now is nobody's any more.
            if count == 0, aliases.slot == nil { throw claim.footprint.stop ?? .invalid }
            reply.written(bytes.count)
        } catch {
            reply.error(error)
        }
    }

    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        let scale = kind?.scale ?? 1
        guard offset < size, let next = directory.next(from: offset * scale, memory: toData, aliases) else {
            return reply.error(.pastEnd)
        }
        reply.offset(min(max(offset, next / scale), size))
    }
}

/// A request on memory, resolved.
struct MemoryAccess {
    let claim: Claim
    /// What is copied; the claim's may be wider.
    let footprint: Footprint
    /// Of the file.
    let offset: UInt64
    /// Bytes of the file that the footprint covers.
    let count: Int
    /// Bytes that the request asked for.
    let requested: Int
}
