import TagMemCore

/// Reads, writes and pages that come back: an access each, which the directory resolves and admits. Then it copies and
/// answers.
extension MemoryFile {
    // MARK: Reads

    func beginRead(_ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool) {
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

    func beginWrite(_ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        fileSystem.counters.add(.writes)
        fileSystem.willWrite(node, user: reply.user)
        if unsafe bytes.isEmpty { return reply.written(0) }
        do throws(FileError) {
            guard unsafe codec.accepts(bytes, isWriteback: false) else { return reply.error(.invalid) }
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
    func writeBack(_ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        fileSystem.counters.add(.writebacks)
        guard kind != nil else { return reply.error(.notSupported) }
        let access = unsafe directory.beginWriteback(alias, at: offset, bytes)
        var refusal: FileError?
        if access.count > 0 {
            let known = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<access.count])
            if unsafe codec.accepts(known, isWriteback: true) {
                unsafe storeWriteback(known, access)
            } else {
                refusal = .invalid
            }
        }
        // Before the answer: a recall that waits for it is over then, and what follows is to find that the page is back.
        directory.end(access)
        if let refusal { return reply.error(refusal) }
        // What lies behind an object's end by now is nobody's any more.
        if access.count == 0, object.isPhysical, let stop = access.footprint.stop { return reply.error(stop) }
        reply.written(bytes.count)
    }
}
