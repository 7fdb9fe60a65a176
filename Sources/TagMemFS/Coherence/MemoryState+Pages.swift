import TagMemCore

/// What jobs do to objects' pages.
extension MemoryState {
    /// Takes back a page that nobody has any more.
    mutating func free(_ frame: PageFrame) {
        pages.setPinned(false, frame)
        withMover { allocator, mover in allocator.free(frame, with: &mover) }
    }

    /// Removes an object that has no pages and that nobody is about to give any. Returns whether it did.
    mutating func removeIfEmpty(_ object: ObjectID) -> Bool {
        guard !isDraining, objects[object].memory.pages.present == 0, objects[object].tickets == 0,
            objects[object].reshaper == nil, objects[object].modeChange == nil,
            objects[object].waiting.isEmpty
        else { return false }
        remove(object)
        return true
    }

    /// Forgets an object that has no page any more, and what is being recalled from it still.
    mutating func remove(_ object: ObjectID) {
        cutRecalls(of: object, at: 0)
        objects.remove(object)
    }

    /// The pages of an object, which nobody looks at through tags, are for untagged use.
    mutating func untag(_ object: ObjectID, _ range: Range<Int>) {
        withMover { allocator, mover in
            for index in range {
                guard let frame = mover.objects[object].memory.pages.frame(at: index) else { continue }
                do throws(AllocationError) {
                    _ = try allocator.setUse(.untagged, of: frame, with: &mover)
                } catch {
                    preconditionFailure("a page cannot turn untagged: \(error)")
                }
            }
        }
    }

    /// Sets a page's bytes from `offset` on to zero, and the tags of granules that begin there.
    func clearTail(of frame: PageFrame, from offset: UInt64, withTags: Bool) {
        let address = pages.layout.address(of: frame) + offset
        let count = Int(pages.layout.pageSize - offset)
        dram.zero(address, count: count)
        let inGranule = offset % TagGranule.size
        let skipped = inGranule == 0 ? 0 : Int(TagGranule.size - inGranule)
        if withTags, count > skipped {
            dram.fillTags(
                AllocationTag(truncating: 0), at: address + UInt64(skipped), count: count - skipped)
        }
    }

    /// Waits for lines of which some may be held by the object's `mem`: for the others first.
    mutating func wait(forAll obstacles: [Int]) -> JobStep {
        let others = obstacles.filter { line in
            let state = lines[line]
            return state.isBusy || !(state.isHeldByObject && state.holderKind == .mem)
        }
        if !others.isEmpty { return .blocked(.lines(others)) }
        return .blocked(.recalls(.sized, upTo: recalls[.sized].sequence))
    }

    // MARK: Growth

    /// The kernel knows the size of `mem`, which it has changed itself, but not those of the other files.
    func sizesToTell(of object: ObjectID) -> [Notice] {
        AliasKind.all.filter { $0 != .mem && objects[object].shownSizes & $0.bit != 0 }.map { kind in
            .size(size(of: kind, object), of: NodeID(object: object.number, role: kind.role))
        }
    }

    /// Sees to it that what a program stored behind an object's end, in the page of a mapping that the end was in, does
    /// not show now that the object is larger. Write-backs of that page leave it out from here on, until the kernel has
    /// got the page anew. Returns what is to be waited for, so that mappings do not show it either.
    mutating func recallTail(of object: ObjectID, behind end: UInt64, _ cause: PageDemand.Cause) -> JobStep {
        let offset = Page.start(end)
        guard end % Page.size != 0 else { return .again }
        let held = lines(ofPageAt: offset, of: .mem, object).filter {
            lines[$0].isHeldByObject && lines[$0].holderKind == .mem
        }
        guard let line = held.first else { return .again }
        var stale = end..<offset + Page.size
        // A write has overwritten what follows in its own page.
        if case .cached(let start, let locked) = cause, locked.contains(offset) {
            if start <= end { return .again }
            stale = end..<min(start, stale.upperBound)
        }
        if let other = objects[object].staleBytes[offset] {
            stale = min(stale.lowerBound, other.lowerBound)..<max(stale.upperBound, other.upperBound)
        }
        objects[object].staleBytes[offset] = stale
        switch cause {
        // The kernel drops all pages of the inode itself before truncate(2) returns, and writes none back before.
        case .truncate: return .again
        case .direct: break
        case .cached(_, let locked):
            // The write has that page locked, so nobody can wait for it.
            if locked.contains(offset) {
                recall(line)
                return .again
            }
        }
        recall(line)
        return .blocked(.recalls(.sized, upTo: recalls[.sized].sequence))
    }

    /// Has the kernel drop clean pages of `mem`, and waits for that.
    mutating func drop(_ offsets: Set<UInt64>, of object: ObjectID) -> JobStep {
        let node = NodeID(object: object.number, role: .mem)
        for offset in offsets.sorted() {
            notices.append(.drop(node, offset: offset, length: Page.size))
        }
        return .blocked(.notices)
    }
}

extension MemoryObject {
    /// Whether the object's next pages fill half of the block that a page is in, as they do where they were allocated
    /// in order.
    func sharesBlock(_ index: Int, _ layout: BlockLayout) -> Bool {
        guard let frame = pages.frame(at: index),
            let other = pages.frame(at: index + layout.geometry.dataPages / 2)
        else { return false }
        return layout.block(of: frame) == layout.block(of: other)
    }
}
