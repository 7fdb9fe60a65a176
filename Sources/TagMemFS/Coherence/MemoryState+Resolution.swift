import TagMemCore

/// Which memory an access is about, as things are now.
extension MemoryState {
    /// Resolves an access anew.
    @inline(__always)
    func resolve(_ access: inout MemoryAccess) {
        let kind = access.alias.kind
        switch access.purpose {
        case .read, .write, .fill, .cachedWrite:
            access.footprint = footprint(access, kind, at: access.offset, count: access.requested)
            if access.handsOut {
                access.claim(spansOfPages(access))
            } else {
                access.claim(access.footprint.spans)
            }
        case .instruction(let data, let tags):
            access.footprint = footprint(ofInstruction: access, data, tags)
            access.claim(access.footprint.spans)
        case .writeback:
            // What was stored through a view is kept, also when the object has just turned untagged.
            access.footprint = writebackFootprint(access, kind?.isView == true ? .mem : kind)
            access.claim(access.footprint.spans)
        }
        access.count = covered(access)
    }

    @inline(__always)
    private func footprint(
        _ access: MemoryAccess, _ kind: AliasKind?, at offset: UInt64, count: Int
    ) -> Footprint {
        let object = access.alias.object
        var footprint = objects.footprint(of: kind, object, at: offset, count: count, map)
        // Behind one tag's addresses come the next one's: no file ends here.
        if kind == nil, footprint.stop == .pastEnd { footprint.stop = .hole }
        if kind != .mem, objects[object].isUntagging, !isLateWrite(access, footprint) {
            footprint = Footprint()
            footprint.stop = .notTaggable
        }
        return footprint
    }

    /// The bytes that an instruction accesses. One that is about tags alone may be about the whole granule that the object
    /// ends in, and about memory that has none.
    private func footprint(
        ofInstruction access: MemoryAccess, _ data: MemoryAccess.Effect, _ tags: MemoryAccess.Effect
    ) -> Footprint {
        let object = access.alias.object
        var footprint = Footprint()
        if objects[object].memory.kind == .untagged || objects[object].isUntagging {
            footprint.stop = .notTaggable
            return footprint
        }
        return objects[object].memory.footprint(
            ofMemoryAt: access.offset, count: access.requested, checked: tags == .none,
            within: data == .none || data == .zero ? .tags : .size, map)
    }

    /// Whether a write is in a page that a view of an object which turns untagged has still: it comes back with the page
    /// if it is not done now.
    private func isLateWrite(_ access: MemoryAccess, _ footprint: Footprint) -> Bool {
        access.purpose == .cachedWrite && isHeld(footprint.spans, by: access.alias.holder)
    }

    private func isHeld(_ spans: ShortList<LineSpan>, by holder: UInt32) -> Bool {
        !spans.isEmpty
            && spans.indices.allSatisfy { spans[$0].lines.allSatisfy { lines[$0].holder == holder } }
    }

    /// The lines of the whole pages that the kernel keeps: of what lies behind the object's end in them, too, which
    /// they will show when it grows.
    @inline(__always)
    private func spansOfPages(_ access: MemoryAccess) -> ShortList<LineSpan> {
        let footprint = access.footprint
        guard let kind = access.alias.kind, footprint.count > 0 else { return footprint.spans }
        if access.isFill, access.alias.object.isPhysical || footprint.stop != .pastEnd {
            return footprint.spans
        }
        let start = Page.start(access.offset)
        let end = Page.start(access.offset + UInt64(access.requested) - 1) + Page.size
        return objects[access.alias.object].memory.footprint(
            ofPagesAt: start, count: Int(end - start), of: kind, within: .lastPage, map
        ).spans
    }

    /// The memory that a page which comes back goes to, without the bytes that it has from behind an end that the
    /// object had when the kernel got it: those go nowhere.
    private func writebackFootprint(_ access: MemoryAccess, _ kind: AliasKind?) -> Footprint {
        let object = access.alias.object
        let end = access.offset + UInt64(access.requested)
        var footprint = objects[object].memory.footprint(
            of: kind, at: access.offset, count: access.requested, map)
        guard access.alias.kind == .mem, !objects[object].staleBytes.isEmpty else { return footprint }
        var isStale = [Bool](repeating: false, count: access.requested)
        for page in stride(from: Page.start(access.offset), to: end, by: Int(Page.size)) {
            for byte in objects[object].staleBytes[page]?.clamped(to: access.offset..<end) ?? 0..<0 {
                isStale[Int(byte - access.offset)] = true
            }
        }
        footprint.leaveOut(isStale)
        return footprint
    }

    /// How many bytes of its file an access covers.
    @inline(__always)
    private func covered(_ access: MemoryAccess) -> Int {
        let count = access.footprint.count
        guard access.alias.kind == .tagsHex, count > 0 else { return count }
        return min(access.requested, count * 2 - Int(access.offset % 2))
    }

    // MARK: Files

    /// The size of an alias's file.
    func size(of kind: AliasKind?, _ object: ObjectID) -> UInt64 {
        switch kind {
        case .tags: objects[object].memory.tagBytes
        case .tagsHex: objects[object].memory.tagBytes * 2
        case .mem, .view, nil: objects[object].memory.end
        }
    }

    /// The lines that a page of an alias's file shows, whatever the object's size and kind are now.
    func lines(ofPageAt offset: UInt64, of kind: AliasKind, _ object: ObjectID) -> [Int] {
        objects[object].memory.lines(ofPageAt: offset, of: kind, map)
    }
}
