import TagMemCore

/// What page cache mode remembers of accesses; see `CachedFiles`.
extension MemoryState {
    /// An access has ended.
    mutating func noteEnd(of access: MemoryAccess, isRefused: Bool) {
        guard usesPageCache, let kind = access.alias.kind else { return }
        switch access.purpose {
        case .writeback where kind.isView:
            forEachPage(of: access) { state, offset in
                state.objects[access.alias.object].cached.pageReturned(offset, of: kind)
            }
        case .cachedWrite, .write:
            objects[access.alias.object].cached.writeEnded(kind)
            if isRefused, !access.wasHeld { takeBack(access, kind) }
        default: break
        }
    }

    /// What the kernel has from a write that was refused, it was not given: others are not to see it for long, and what
    /// they store to it does not count.
    private mutating func takeBack(_ access: MemoryAccess, _ kind: AliasKind) {
        for index in access.claims.indices where access.claims[index].intent == .cachedWrite {
            for line in access.claims[index].lines where lines[line].holder == access.alias.holder {
                recall(line)
                objects[access.alias.object].cached.pageWasRefused(Page.start(access.offset), of: kind)
            }
        }
    }

    /// A page comes back. One that its alias does not hold, the kernel has from a write that it has not asked for yet, or
    /// that is under way: the write is to know of it, and what a program stored to such a page of a view is lost where a
    /// write is refused.
    mutating func pageComesBack(_ access: inout MemoryAccess) {
        guard usesPageCache, let kind = access.alias.kind else { return }
        let object = access.alias.object
        var wasRefused = false
        forEachPage(of: access) { state, offset in
            if state.objects[object].cached.isRefused(offset, of: kind) { wasRefused = true }
        }
        let isHeld = access.claims.indices.allSatisfy { index in
            access.claims[index].lines.allSatisfy {
                lines[$0].holder == access.alias.holder && !lines[$0].hasWriter
            }
        }
        if isHeld, !wasRefused { return }
        forEachPage(of: access) { state, offset in
            state.objects[object].cached.pageCrossed(offset, of: kind)
        }
        guard case .view(let tag) = kind else { return }
        let isTagged = objects[object].memory.kind != .untagged && !objects[object].isUntagging
        if isTagged, !access.mode.refusesMismatchingPages || firstMismatch(of: tag, access) == nil { return }
        access.footprint = Footprint()
        access.claims = ShortList()
        access.count = 0
    }

    /// Whether the page of a cached write came back while it was under way, or before that from a view that did not have
    /// it.
    mutating func cameBackAcross(_ access: MemoryAccess) -> Bool {
        guard usesPageCache, access.purpose == .cachedWrite, let kind = access.alias.kind else {
            return false
        }
        return objects[access.alias.object].cached.takeCrossed(Page.start(access.offset), of: kind)
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
