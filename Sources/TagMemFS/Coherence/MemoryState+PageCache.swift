import TagMemCore

/// What page cache mode remembers of accesses; see `CachedFiles`.
extension MemoryState {
    /// An access has ended.
    mutating func noteEnd(of access: MemoryAccess, isRefused: Bool) {
        guard usesPageCache, let kind = access.alias.kind else { return }
        switch access.purpose {
        case .writeback:
            forEachPage(of: access) { state, offset in
                state.objects[access.alias.object].cached.pageReturned(offset, of: kind)
            }
        case .fill:
            forEachPage(of: access) { state, offset in
                state.objects[access.alias.object].cached.pageFilled(offset, of: kind, by: access.number)
            }
        case .cachedWrite, .write:
            if !access.wasHeld {
                if isRefused {
                    letGo(of: access, kind)
                } else {
                    objects[access.alias.object].cached.removeUnjudged(Page.start(access.offset), of: kind)
                }
            }
            recallIfReturned(access, kind)
            // Once the write is answered, what programs store to a gap that it left is the object's. Nobody can tell that
            // from what they stored there before.
            if kind == .mem { objects[access.alias.object].staleBytes[Page.start(access.offset)] = nil }
            objects[access.alias.object].cached.writeEnded(kind)
        default: break
        }
    }

    /// The kernel has nothing to show of a page, of which it may have been given something nevertheless. What comes back
    /// of it without having been given anew is from before the write.
    mutating func noteUnseen(_ write: MemoryAccess) {
        guard let kind = write.alias.kind else { return }
        var old: [UInt8] = []
        for index in write.footprint.pieces.indices {
            let piece = write.footprint.pieces[index]
            var bytes = [UInt8](repeating: 0, count: piece.count)
            // SAFETY: the buffer is the array's, for the closure's duration.
            if case .memory(let address, _) = piece {
                unsafe bytes.withUnsafeMutableBytes { unsafe dram.read($0, from: address) }
            }
            old += bytes
        }
        objects[write.alias.object].cached.addUnseen(
            UnseenWrite(start: Int(write.offset % Page.size), old: old), Page.start(write.offset), of: kind)
    }

    /// Leaves out of what comes back what writes have replaced that the page does not show.
    func leaveOutReplaced(_ writeback: inout MemoryAccess, _ bytes: UnsafeRawBufferPointer) {
        guard usesPageCache, let kind = writeback.alias.kind else { return }
        let cached = objects[writeback.alias.object].cached
        var isReplaced: [Bool] = []
        for page in stride(from: 0, to: bytes.count, by: Int(Page.size)) {
            for write in cached.unseenWrites(writeback.offset + UInt64(page), of: kind) {
                if isReplaced.isEmpty { isReplaced = Array(repeating: false, count: bytes.count) }
                for (index, old) in write.old.enumerated() where page + write.start + index < bytes.count {
                    if unsafe bytes[page + write.start + index] == old {
                        isReplaced[page + write.start + index] = true
                    }
                }
            }
        }
        if !isReplaced.isEmpty { writeback.footprint.leaveOut(isReplaced) }
    }

    /// A page that came back while a write of it was under way may show what a program stored to it after the write had left
    /// its bytes there, and the write has overwritten that in memory.
    private mutating func recallIfReturned(_ access: MemoryAccess, _ kind: AliasKind) {
        let (page, cached) = (Page.start(access.offset), objects[access.alias.object].cached)
        guard access.purpose == .cachedWrite,
            cached.mayHaveReturned(page, of: kind) || !cached.unseenWrites(page, of: kind).isEmpty
        else { return }
        recallOwnPages(of: access)
    }

    /// The kernel has no page that is worth anything from a write that was refused: what it has, it was not given.
    private mutating func letGo(of access: MemoryAccess, _ kind: AliasKind) {
        // Those that are being recalled are let go when that is done.
        var isRecalled = false
        for index in access.claims.indices where access.claims[index].intent == .cachedWrite {
            for line in access.claims[index].lines where lines[line].holder == access.alias.holder {
                if lines[line].isRecalled {
                    isRecalled = true
                } else {
                    set(line, lines[line].released)
                }
            }
        }
        if !isRecalled {
            objects[access.alias.object].cached.removeUnjudged(Page.start(access.offset), of: kind)
        }
        let node = NodeID(object: access.alias.object.number, role: kind.role)
        forEachPage(of: access) { state, offset in
            let stray = StrayPage(node: node, offset: offset)
            guard state.strays.count < StrayPage.maximum, !state.strays.contains(stray) else { return }
            state.strays.append(stray)
        }
        work.insert(.strays)
    }

    /// A page comes back. One that its file does not hold, or only for a write that is not done yet, the kernel has from a
    /// write as a whole, which it has not asked for yet, or which was or may be refused; a program has stored to it, and
    /// nobody looked at tags before that. It goes nowhere where another file has the page, or where the tags refuse it.
    mutating func judge(_ writeback: inout MemoryAccess) {
        guard usesPageCache, !writeback.claims.isEmpty, let kind = writeback.alias.kind else { return }
        let isUnjudged = objects[writeback.alias.object].cached.isUnjudged(
            Page.start(writeback.offset), of: kind)
        var isForeign = false
        for index in writeback.claims.indices {
            for line in writeback.claims[index].lines {
                if lines[line].holder == writeback.alias.holder {
                    if !isUnjudged { return }
                } else if lines[line].holder != 0 {
                    isForeign = true
                }
            }
        }
        forEachPage(of: writeback) { state, offset in
            state.objects[writeback.alias.object].cached.pageReturned(offset, of: kind)
        }
        if !isForeign, isAllowed(writeback, kind) { return }
        writeback.footprint = Footprint()
        writeback.claims = ShortList()
        writeback.count = 0
    }

    private func isAllowed(_ writeback: MemoryAccess, _ kind: AliasKind) -> Bool {
        guard case .view(let tag) = kind else { return true }
        let object = objects[writeback.alias.object]
        if object.memory.kind == .untagged || object.isUntagging { return false }
        return !writeback.mode.refusesMismatchingPages || firstMismatch(of: tag, writeback) == nil
    }

    private mutating func forEachPage(
        of access: MemoryAccess, _ body: (inout MemoryState, UInt64) -> Void
    ) {
        let end = access.offset + UInt64(access.requested)
        for offset in stride(from: Page.start(access.offset), to: end, by: Int(Page.size)) {
            body(&self, offset)
        }
    }

    /// Whether the bytes of a write through a view came back with its page since the view's last write.
    func hasComeBack(_ access: MemoryAccess, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard usesPageCache, access.isWrite, let kind = access.alias.kind, kind.isView,
            bytes.count > 0
        else { return false }
        let object = access.alias.object
        let end = access.offset + UInt64(bytes.count)
        for offset in stride(from: Page.start(access.offset), to: end, by: Int(Page.size))
        where !objects[object].cached.hasReturned(offset, of: kind) { return false }
        let footprint = objects[object].memory.footprint(of: .mem, at: access.offset, count: bytes.count, map)
        guard footprint.count == bytes.count else { return false }
        var position = 0
        for index in footprint.pieces.indices {
            let piece = footprint.pieces[index]
            guard case .memory(let address, let count) = piece else { return false }
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
            if unsafe !dram.equals(part, at: address) { return false }
            position += count
        }
        return true
    }
}
