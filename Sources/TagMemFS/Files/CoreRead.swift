import TagMemCore

/// A read of a core file: an access for each part of the file that it is of, one after the other, as each may have to
/// wait for its turn.
///
/// One thread at a time does it.
final class CoreRead: DeferredOperation {
    private let file: CoreFile
    private let reply: ReplySlot
    private let user: UInt32
    private let offset: UInt64
    private let size: Int
    /// What has been read so far.
    private let bytes = Guarded<[UInt8]>([])

    init(_ file: CoreFile, _ reply: consuming Reply, at offset: UInt64, size: Int) {
        self.file = file
        user = reply.user
        self.reply = ReplySlot(reply)
        self.offset = offset
        self.size = size
    }

    /// Reads up to where something is in the way, or all.
    func goOn() {
        while true {
            let done = bytes.withLock { $0.count }
            guard done < size, let part = file.layout.part(at: offset + UInt64(done), limit: size - done)
            else {
                return answer()
            }
            var access: MemoryAccess
            switch part {
            case .headers(let range):
                let headers = file.layout.headers
                bytes.withLock { $0 += headers[range] }
                continue
            case .data(let position, let count): access = self.access(.mem, at: position, count: count)
            case .tags(let position, let count): access = self.access(.tags, at: position, count: count)
            }
            access.keptAnswer = done
            file.fileSystem.counters.add(.reads)
            switch file.directory.begin(&access) {
            case .decided(let grant): if !take(access, grant) { return }
            case .queued(let ticket): return file.directory.wait(ticket, self)
            }
        }
    }

    private func access(_ kind: AliasKind, at offset: UInt64, count: Int) -> MemoryAccess {
        MemoryAccess(
            .read, Alias(object: file.object, kind: kind, isBorrowed: true), at: offset, count: count,
            user: user)
    }

    func run(_ grant: Grant, _ access: MemoryAccess) { if take(access, grant) { goOn() } }

    /// Takes the bytes of an access that was decided on. Returns false if that was the answer.
    private func take(_ access: MemoryAccess, _ grant: Grant) -> Bool {
        switch grant {
        case .granted:
            defer { file.directory.end(access) }
            if access.count == size {
                // All that was asked for: straight from memory.
                reply.take()?.memory(access.footprint, count: size, of: file.fileSystem.dram)
                return false
            }
            let part = file.fileSystem.dram.bytes(of: access.footprint)
            bytes.withLock { $0 += part }
            appendZeros(access.requested - access.count)
        case .endOfFile: appendZeros(access.requested)
        case .failed(let error):
            if bytes.withLock({ $0.isEmpty }) {
                reply.take()?.error(error)
            } else {
                answer()
            }
            return false
        case .mismatch: preconditionFailure("nothing is checked")
        }
        return true
    }

    /// For what the object has lost since the file was opened.
    private func appendZeros(_ count: Int) {
        bytes.withLock { $0 += repeatElement(0, count: count) }
    }

    private func answer() {
        let bytes = bytes.withLock { $0 }
        reply.take()?.bytes(bytes)
    }
}
