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
            if isRefused, !access.wasHeld { letGo(of: access) }
        default: break
        }
    }

    /// The kernel has no page that is worth anything from a write that was refused.
    private mutating func letGo(of access: MemoryAccess) {
        for index in access.claims.indices where access.claims[index].intent == .cachedWrite {
            for line in access.claims[index].lines
            where lines[line].holder == access.alias.holder && !lines[line].isRecalled {
                set(line, lines[line].released)
            }
        }
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
