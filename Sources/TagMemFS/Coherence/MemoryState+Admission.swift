import TagMemCore

/// Which accesses may go ahead, and what the lines remember of those that do.
extension MemoryState {
    /// What an access waits for.
    enum Obstacle {
        case line(Int)
        /// The mode of its object is being changed.
        case mode
        /// Pages that its object does not have.
        case pages(PageDemand)
    }

    enum Decision {
        case decided(Grant)
        case blocked(Obstacle)
    }

    /// Resolves an access that nobody has looked at before, and grants it if nothing is in its way.
    mutating func decide(_ access: inout MemoryAccess) -> Decision {
        if let decision = prepare(&access) { return decision }
        let isRefill = access.handsOut && isHeldByItself(access)
        let holder = access.alias.holder
        for index in access.claims.indices {
            let claim = access.claims[index]
            for line in claim.lines where isInTheWay(line, claim.intent, holder, hasPlace: false, isRefill) {
                return .blocked(.line(line))
            }
        }
        return grant(&access, isRefill)
    }

    /// Resolves an access; a decision if that is all there is to it.
    mutating func prepare(_ access: inout MemoryAccess) -> Decision? {
        if growsObject(access) {
            if let pages = pageDemand(of: access, growsTo: access.offset + UInt64(access.requested)) {
                return .blocked(.pages(pages))
            }
            return .decided(.failed(.noSpace))
        }
        resolve(&access)
        if let grant = access.isFill ? verdictOnFill(access) : verdict(on: access) { return .decided(grant) }
        guard access.footprint.needsPages, access.isFill || access.isWrite else { return nil }
        // What is refused gets no page.
        access.mode = objects[access.alias.object].memory.mode
        var needed = access.count
        if let tag = access.tag, access.mode.effect(onStore: access.isWrite) == .fault,
            let mismatch = firstMismatch(of: tag, access)
        {
            if access.isFill { return .decided(.mismatch(at: mismatch.address)) }
            // It is done as a whole or not at all.
            if access.isInstruction { return nil }
            needed = mismatch.position
            if !hasZeros(access.footprint, before: needed) { return nil }
        }
        guard let pages = pageDemand(of: access, count: needed) else { return .decided(.failed(.noSpace)) }
        return .blocked(.pages(pages))
    }

    /// Whether a write makes the object larger.
    @inline(__always)
    private func growsObject(_ access: MemoryAccess) -> Bool {
        guard access.isWrite, access.requested > 0, access.alias.kind == .mem,
            !access.alias.object.isPhysical
        else { return false }
        let end = access.offset.addingReportingOverflow(UInt64(access.requested))
        return end.overflow || end.partialValue > objects[access.alias.object].memory.size
    }

    /// What there is to say of a read or write without looking at lines.
    @inline(__always)
    private func verdict(on access: MemoryAccess) -> Grant? {
        guard access.count == 0 else { return nil }
        let stop = access.footprint.stop
        if access.purpose == .read, stop == .pastEnd || access.requested == 0 { return .endOfFile }
        return .failed(stop ?? .invalid)
    }

    /// A page that is handed out is handed out as a whole, or the file ends in it.
    @inline(__always)
    private mutating func verdictOnFill(_ access: MemoryAccess) -> Grant? {
        guard let kind = access.alias.kind else { return .failed(.notSupported) }
        let object = access.alias.object
        let missing = access.requested - access.count
        guard missing > 0 || access.requested == 0 else {
            let isBatch = access.requested > Int(Page.size)
            return access.footprint.needsPages && isBatch ? .failed(.readaheadRefused) : nil
        }
        // A short answer tells the kernel that the file ends here.
        guard access.requested > 0, access.offset + UInt64(access.count) >= size(of: kind, object) else {
            return .failed(access.footprint.stop ?? .invalid)
        }
        guard missing >= Int(Page.size) else { return nil }
        // It would keep pages of zeros behind the end that nobody knows of.
        if access.count > 0 { return .failed(.readaheadRefused) }
        guard usesPageCache, kind == .mem else { return .failed(.pastEnd) }
        // Here it is how read(2) finds the end, where it has moved since the kernel looked.
        if object.isPhysical { return .endOfFile }
        guard access.requested == Int(Page.size) else { return .failed(.readaheadRefused) }
        return objects[object].cached.addZeroPage(access.offset) ? .endOfFile : .failed(.pastEnd)
    }

    /// Nothing is in the way of an access's lines: looks at the rest, and grants it.
    mutating func grant(_ access: inout MemoryAccess, _ isRefill: Bool) -> Decision {
        let object = access.alias.object
        if !isRefill, access.tag != nil, objects[object].isChangingMode { return .blocked(.mode) }
        access.mode = objects[object].memory.mode
        if access.isFill, let tag = access.tag, access.mode.refusesMismatchingPages,
            let mismatch = firstMismatch(of: tag, access)
        {
            return .decided(.mismatch(at: mismatch.address))
        }
        access.wasHeld = access.handsOut && isHeldByItself(access)
        mark(access)
        return .decided(.granted)
    }

    // MARK: Lines

    /// Whether the kernel has all of an access's pages through the very alias that it comes through.
    @inline(__always)
    func isHeldByItself(_ access: MemoryAccess) -> Bool {
        let holder = access.alias.holder
        guard holder != 0, !access.claims.isEmpty else { return false }
        for index in access.claims.indices {
            let claim = access.claims[index]
            guard claim.intent == .handOut || claim.intent == .cachedWrite else { continue }
            for line in claim.lines where lines[line].holder != holder { return false }
        }
        return true
    }

    /// Whether an access through the alias of a holder has to wait for something at a line. With `hasPlace`, it is its
    /// turn there.
    ///
    /// A page that its alias holds already (`isRefill`) is given again at once, whatever waits, also while it is
    /// recalled: the kernel holds its lock. Copies that are under way nothing can hold up, so it may wait for those.
    @inline(__always)
    func isInTheWay(
        _ number: Int, _ intent: LineClaim.Intent, _ holder: UInt32, hasPlace: Bool, _ isRefill: Bool
    ) -> Bool {
        let line = lines[number]
        let isOthers = line.isWanted && !hasPlace
        switch intent {
        case .read:
            if line.hasWriter || line.hasManyReaders || isOthers { return true }
            return line.holder != 0 && line.holder != holder && mayBeDirty(number)
        case .write:
            return line.holder != 0 || line.isBusy || isOthers
        case .handOut:
            if line.hasWriter || line.hasManyReaders { return true }
            return line.holder != holder && (line.holder != 0 || isOthers)
        case .cachedWrite:
            if line.holder == holder { return line.isBusy }
            return line.holder != 0 || line.isBusy || isOthers
        case .writeback:
            return false
        case .check:
            return line.hasWriter || line.hasManyReaders || isOthers && !isRefill
        case .checkOnce:
            return !isRefill && (line.hasWriter || line.hasManyReaders || isOthers)
        case .clearOfViews:
            return !isRefill && line.isHeldByView
        }
    }

    /// Recalls what holds a line, if that is what is in the way of an access through the alias of a holder.
    mutating func recallHolder(of line: Int, _ intent: LineClaim.Intent, for holder: UInt32) {
        let state = lines[line]
        guard state.holder != 0 else { return }
        switch intent {
        case .read:
            if state.holder != holder, mayBeDirty(line) { recall(line) }
        case .write:
            recall(line)
        case .handOut, .cachedWrite:
            if state.holder != holder { recall(line) }
        case .clearOfViews:
            if state.isHeldByView { recall(line) }
        case .check, .checkOnce, .writeback:
            break
        }
    }

    @inline(__always)
    mutating func mark(_ access: MemoryAccess) {
        let holder = access.alias.holder
        for index in access.claims.indices {
            let claim = access.claims[index]
            for line in claim.lines {
                switch claim.intent {
                case .read, .check: lines[line] = lines[line].addingReader
                case .write: lines[line] = lines[line].addingWriter
                case .handOut: lines[line] = lines[line].handedOut(to: holder).addingReader
                case .cachedWrite: lines[line] = lines[line].handedOut(to: holder).addingWriter
                case .writeback: lines[line] = lines[line].addingWriteback
                case .checkOnce, .clearOfViews: break
                }
            }
        }
        if access.checksDirectly, access.purpose != .writeback {
            objects[access.alias.object].checkedAccesses += 1
        }
        if access.handsOut { forgetStaleBytes(of: access) }
        // A fill of the page may be waiting, as the kernel did not keep it locked for the write. From here on a recall of
        // the page waits for that fill, which therefore goes ahead of all others.
        if access.purpose == .cachedWrite, !access.wasHeld {
            if let kind = access.alias.kind {
                objects[access.alias.object].cached.addUnjudged(Page.start(access.offset), of: kind)
            }
            noteChange(of: access.alias.object, access.addresses)
        }
    }

    mutating func unmark(_ access: MemoryAccess) {
        for index in access.claims.indices {
            let claim = access.claims[index]
            for line in claim.lines {
                switch claim.intent {
                case .read, .check, .handOut, .writeback: set(line, lines[line].removingReader)
                case .write, .cachedWrite: set(line, lines[line].removingWriter)
                case .checkOnce, .clearOfViews: break
                }
            }
        }
        if access.checksDirectly, access.purpose != .writeback {
            objects[access.alias.object].checkedAccesses -= 1
            modeMayChange(of: access.alias.object)
        }
    }

    /// A page of `mem` that is filled anew, or written as a whole, has nothing from behind an old end.
    private mutating func forgetStaleBytes(of access: MemoryAccess) {
        let object = access.alias.object
        guard access.alias.kind == .mem, !objects[object].staleBytes.isEmpty else { return }
        let isWhole = access.offset % Page.size == 0 && access.requested >= Int(Page.size)
        guard access.isFill || isWhole else { return }
        let end = access.offset + UInt64(access.requested)
        for offset in stride(from: Page.start(access.offset), to: end, by: Int(Page.size)) {
            objects[object].staleBytes[offset] = nil
        }
    }

    // MARK: Tags

    /// Where an access first touches a granule of another tag.
    struct Mismatch {
        /// Bytes of the access before it.
        let position: Int
        /// nil in a page that the object does not have: its tags are 0.
        let address: PhysicalAddress?
    }

    @inline(__always)
    func firstMismatch(of tag: AddressTag, _ access: MemoryAccess) -> Mismatch? {
        dram.firstMismatch(of: tag, in: access.footprint, count: access.count)
    }

    private func hasZeros(_ footprint: Footprint, before end: Int) -> Bool {
        var position = 0
        for index in footprint.pieces.indices where position < end {
            if case .zeros = footprint.pieces[index] { return true }
            position += footprint.pieces[index].count
        }
        return false
    }
}

extension DRAM {
    /// The first byte of a footprint whose granule has another tag than `tag`. What is no memory has tag 0.
    func firstMismatch(
        of tag: AddressTag, in footprint: Footprint, count: Int
    ) -> MemoryState.Mismatch? {
        var position = 0
        for index in footprint.pieces.indices where position < count {
            let piece = footprint.pieces[index]
            let length = min(piece.count, count - position)
            switch piece {
            case .zeros:
                if tag.rawValue != 0 { return .init(position: position, address: nil) }
            case .memory(let start, _):
                let mismatch =
                    footprint.checksMemoryWithoutTags
                    ? firstMismatch(ofTagIn: TaggedPointer(address: 0, tag: tag), at: start, count: length)
                    : firstMismatch(of: tag, at: start, count: length)
                if let mismatch {
                    return .init(position: position + Int(mismatch - start), address: mismatch)
                }
            }
            position += length
        }
        return nil
    }
}
