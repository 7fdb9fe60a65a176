import TagMemCore

/// Taking pages back from the kernel.
extension MemoryState {
    /// The next pages to recall.
    mutating func nextRecall(_ lane: RecallLane) -> RecallJob? {
        recalls[lane].current = recalls[lane].jobs.popFirst()
        return recalls[lane].current
    }

    /// The kernel gave back what the lane's thread was asked to recall. What it asked for again meanwhile is recalled
    /// once more.
    mutating func finishRecall(_ lane: RecallLane) {
        guard let job = recalls[lane].current else { return }
        recalls[lane].current = nil
        if let ticket = job.ticket {
            ticket.outstanding -= 1
            if ticket.outstanding == 0 { ticketIsBack(ticket) }
        } else {
            repeatRefilled(job)
        }
        recallsAreDone(lane)
    }

    /// Frees the lines of the pages that were recalled, and asks again for those that were handed out meanwhile.
    private mutating func repeatRefilled(_ job: RecallJob) {
        var again: [RecallJob] = []
        for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
            if releasePage(offset, of: job) { continue }
            if let last = again.last, last.end == offset {
                again[again.count - 1].length += Page.size
            } else {
                again.append(
                    RecallJob(
                        alias: job.alias, kind: job.kind, offset: offset, length: Page.size,
                        sequence: job.sequence, lane: job.lane))
            }
        }
        if again.isEmpty { return }
        counters.add(.recallsRepeated, again.count)
        recalls[job.lane].jobs.prepend(contentsOf: again)
        work.insert(.recall(job.lane))
    }

    /// Frees the lines of a recalled page, unless it was handed out again meanwhile. Returns whether it did.
    private mutating func releasePage(_ offset: UInt64, of job: RecallJob) -> Bool {
        let holder = job.alias.holder
        let held = lines(ofPageAt: offset, of: job.kind, job.object).filter { lines[$0].holder == holder }
        var wasRefilled = false
        for line in held where lines[line].isRefilled {
            wasRefilled = true
            lines[line] = lines[line].notRefilled
        }
        if wasRefilled { return false }
        for line in held where lines[line].isRecalled { release(line, job.kind, job.object) }
        if job.kind == .mem { objects[job.object].staleBytes[offset] = nil }
        objects[job.object].cached.forgetUnseen(offset, of: job.kind)
        objects[job.object].cached.removeUnjudged(offset, of: job.kind)
        return true
    }

    /// A line that is recalled is back.
    mutating func release(_ line: Int, _ kind: AliasKind, _ object: ObjectID) {
        set(line, lines[line].released)
        guard kind.isView else { return }
        objects[object].recalledViewLines -= 1
        modeMayChange(of: object)
    }

    // MARK: Asking for recalls

    /// Asks for a recall of the page of the holder's file that shows `line`, unless it is under way.
    mutating func recall(_ line: Int) {
        let state = lines[line]
        guard !isDraining, !state.isRecalled, let kind = state.holderKind else { return }
        let (object, address) = holder(of: line)
        let offset = kind.pageOffset(of: address)
        for other in lines(ofPageAt: offset, of: kind, object) where lines[other].holder == state.holder {
            markRecalled(other, kind, object)
        }
        counters.add(.recalls)
        addRecall(object, kind, at: offset, kind == .mem && !object.isPhysical ? .sized : .free)
    }

    /// A line's recall is under way.
    mutating func markRecalled(_ line: Int, _ kind: AliasKind, _ object: ObjectID) {
        guard !lines[line].isRecalled else { return }
        lines[line] = lines[line].recalled
        if kind.isView { objects[object].recalledViewLines += 1 }
    }

    /// Gives a recall thread a page of an alias's file.
    mutating func addRecall(
        _ object: ObjectID, _ kind: AliasKind, at offset: UInt64, _ lane: RecallLane,
        ticket: ReleaseTicket? = nil
    ) {
        let alias = Alias(object: object, kind: kind)
        work.insert(.recall(lane))
        recalls[lane].sequence += 1
        if let last = recalls[lane].jobs.last, last.alias == alias, last.end == offset, last.ticket === ticket
        {
            // One notification for neighbours. The job keeps the older number: what was asked for before this page
            // is done only with it.
            recalls[lane].jobs[recalls[lane].jobs.count - 1].length += Page.size
        } else {
            ticket?.outstanding += 1
            recalls[lane].jobs.append(
                RecallJob(
                    alias: alias, kind: kind, offset: offset, length: Page.size,
                    sequence: recalls[lane].sequence, lane: lane, ticket: ticket))
        }
    }

    /// Forgets recalls of what lies behind an object's new end: its pages are others', or nobody's.
    mutating func cutRecalls(of object: ObjectID, at end: UInt64) {
        func cut(_ job: inout RecallJob) {
            guard job.object == object, job.ticket == nil else { return }
            let end = (end + job.kind.scale - 1) / job.kind.scale
            let last = Page.start(end + Page.size - 1)
            job.length = last > job.offset ? min(job.length, last - job.offset) : 0
        }
        for lane in RecallLane.allCases {
            if var current = recalls[lane].current {
                cut(&current)
                recalls[lane].current = current
            }
            for index in recalls[lane].jobs.indices { cut(&recalls[lane].jobs[index]) }
            recalls[lane].jobs.removeAll { $0.length == 0 }
            recallsAreDone(lane)
        }
    }

    // MARK: For accesses and jobs

    /// Takes the pages back that a cached write, which may not wait where its page is held already, left with a view
    /// against the tags: its own, where stores do not fault and loads do, and those whose tags it changed.
    mutating func recallViews(after access: MemoryAccess) {
        guard access.purpose == .cachedWrite else { return }
        for index in access.claims.indices where access.claims[index].intent == .clearOfViews {
            for line in access.claims[index].lines where lines[line].isHeldByView { recall(line) }
        }
        let mode = objects[access.alias.object].memory.mode
        guard let tag = access.tag, mode.refusesMismatchingPages, firstMismatch(of: tag, access) != nil else {
            return
        }
        recallOwnPages(of: access)
    }

    /// Recalls what a cached write has written to.
    mutating func recallOwnPages(of access: MemoryAccess) {
        for index in access.claims.indices where access.claims[index].intent == .cachedWrite {
            for line in access.claims[index].lines { recall(line) }
        }
    }

    /// Recalls a page, and its tags, from whoever has it. Returns the lines that are to be waited for; none if nobody
    /// has or copies it.
    mutating func recallAll(of frame: PageFrame, _ use: PageUse) -> [Int] {
        let span = span(of: frame)
        var obstacles: [Int] = []
        for line in [span.lines, use == .tagged ? span.companions : 0..<0].joined() {
            if lines[line].holder != 0 { recall(line) }
            if lines[line].holder != 0 || lines[line].isBusy { obstacles.append(line) }
        }
        return obstacles
    }

    /// Recalls the pages of views whose tags a page of tag storage holds, before its bytes change. Returns the lines that are
    /// to be waited for.
    mutating func recallViews(taggedBy frame: PageFrame) -> [Int] {
        let span = span(of: frame)
        guard span.isTagStorage else { return [] }
        let held = span.companions.filter { lines[$0].isHeldByView }
        for line in held { recall(line) }
        return held
    }

    /// Recalls the pages that show an object's end and what it gets behind it: those of files of tags, which do not hold
    /// the lines of pages that were not there, and those of views, which may show it against its tags. Pages of `mem`
    /// hold all that they will show. Returns the lines that are to be waited for.
    mutating func recallEnd(of object: ObjectID) -> [Int] {
        var held: [Int] = []
        let size = objects[object].memory.size
        for kind in AliasKind.all where kind != .mem && size % (Page.size * kind.scale) != 0 {
            let holder = Alias(object: object, kind: kind).holder
            let offset = kind.pageOffset(of: size - 1)
            for line in lines(ofPageAt: offset, of: kind, object) where lines[line].holder == holder {
                recall(line)
                held.append(line)
            }
        }
        return held
    }
}
