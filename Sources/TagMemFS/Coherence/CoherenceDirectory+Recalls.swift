import TagMemCore

/// Taking pages back from the kernel.
extension CoherenceDirectory {
    /// The next pages to recall, for a recall thread.
    func nextRecall(_ lane: RecallLane = .free) -> RecallJob? {
        state.withLock { state in
            state[lane].current = state[lane].jobs.popFirst()
            return state[lane].current
        }
    }

    /// The kernel gave back what the lane's thread was asked to recall. What it asked for again meanwhile is recalled
    /// once more.
    func finishRecall(_ lane: RecallLane = .free) {
        update { state in
            guard let job = state[lane].current else { return }
            state[lane].current = nil
            if let ticket = job.ticket {
                ticket.outstanding -= 1
            } else {
                repeatRefilled(job, &state)
            }
            state.needsReview = true
        }
    }

    /// Frees the lines of the pages that were recalled, and asks again for those that were handed out meanwhile.
    private func repeatRefilled(_ job: RecallJob, _ state: inout State) {
        var again: [RecallJob] = []
        for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
            if releasePage(offset, of: job) { continue }
            if let last = again.last, last.end == offset {
                again[again.count - 1].length += Page.size
            } else {
                again.append(
                    RecallJob(
                        aliases: job.aliases, kind: job.kind, offset: offset, length: Page.size,
                        sequence: job.sequence, lane: job.lane))
            }
        }
        if again.isEmpty { return }
        counters.add(.recallsRepeated, again.count)
        state[job.lane].jobs.insert(contentsOf: again, at: 0)
        state.wakes |= job.lane.bit
    }

    // MARK: Called with the lock held

    /// Recalls what the tags refuse of the pages that are handed out through an object's views.
    func recallMismatchingViews(of aliases: ObjectAliases, _ state: inout State) {
        table.forEachHeldLine { line in
            let kind = table[line].holderKind
            guard case .view(let tag) = kind, holder(of: line).aliases === aliases else { return }
            let (address, _) = table.location(of: line)
            if dram.firstMismatch(of: tag, at: address, count: Int(Page.size)) != nil { recall(line, &state) }
        }
    }

    /// Takes the pages back that a cached write, which may not wait where its page is held already, left with a view
    /// against the tags: its own, where stores do not fault and loads do, and those whose tags it changed.
    func recallViews(after claim: Claim, _ state: inout State) {
        guard claim.purpose == .cachedWrite else { return }
        let spans = claim.footprint.spans
        for index in spans.indices where spans[index].isTagStorage {
            for line in spans[index].companions where table[line].isHeldByView { recall(line, &state) }
        }
        guard let tag = claim.checkedTag, claim.aliases.object.mode.refusesMismatchingPages,
            firstMismatch(of: tag, claim.footprint) != nil
        else { return }
        for index in spans.indices {
            for line in spans[index].lines { recall(line, &state) }
        }
    }

    /// The object whose alias holds a line, and the object's address of what the alias shows of it.
    func holder(of line: Int) -> (aliases: ObjectAliases, address: UInt64) {
        let lineState = table[line]
        let (memory, tagged) = table.location(of: line)
        var shown = memory
        if lineState.holderKind?.showsTags == true {
            guard let tagged else { preconditionFailure("line \(line) holds no tags") }
            shown = tagged
        }
        guard lineState.isHeldByObject else { return (physical, shown.rawValue) }
        guard let page = pages.owner(at: shown) else { preconditionFailure("line \(line) is nobody's") }
        return page
    }

    /// Asks for a recall of the page of the holder's file that shows `line`, unless it is under way.
    func recall(_ line: Int, _ state: inout State) {
        let lineState = table[line]
        guard !state.isDraining, !lineState.isRecalled, let kind = lineState.holderKind else { return }
        let (aliases, address) = holder(of: line)
        let offset = aliases.pageOffset(of: address, in: kind)
        for line in aliases.lines(ofPageAt: offset, in: kind, table: table)
        where table[line].holder == lineState.holder {
            table[line] = table[line].recalled
            if kind.isView { aliases.recalledViewLines += 1 }
        }
        counters.add(.recalls)
        let lane: RecallLane = kind == .mem && aliases.slot != nil ? .sized : .free
        addRecall(aliases, kind, at: offset, lane, &state)
    }

    /// Gives a recall thread a page of an alias's file.
    func addRecall(
        _ aliases: ObjectAliases, _ kind: AliasKind, at offset: UInt64, _ lane: RecallLane,
        ticket: ReleaseTicket? = nil, _ state: inout State
    ) {
        state.wakes |= lane.bit
        state[lane].sequence += 1
        if let last = state[lane].jobs.last, last.aliases === aliases, last.kind == kind, last.end == offset,
            last.ticket === ticket
        {
            // One notification for neighbours. The job keeps the older number: what was asked for before this page
            // is done only with it.
            let index = state[lane].jobs.count - 1
            state[lane].jobs[index].length += Page.size
        } else {
            ticket?.outstanding += 1
            state[lane].jobs.append(
                RecallJob(
                    aliases: aliases, kind: kind, offset: offset, length: Page.size,
                    sequence: state[lane].sequence, lane: lane, ticket: ticket))
        }
    }

    /// Forgets recalls of what lies behind an object's new end: its pages are others', or nobody's.
    func cutRecalls(of aliases: ObjectAliases, at end: UInt64, _ state: inout State) {
        for lane in RecallLane.allCases {
            func cut(_ job: inout RecallJob) {
                guard job.aliases === aliases, job.ticket == nil else { return }
                let end = (end + job.kind.scale - 1) / job.kind.scale
                let last = Page.start(end + Page.size - 1)
                job.length = last > job.offset ? min(job.length, last - job.offset) : 0
            }
            if var current = state[lane].current {
                cut(&current)
                state[lane].current = current
            }
            for index in state[lane].jobs.indices { cut(&state[lane].jobs[index]) }
            state[lane].jobs.removeAll { $0.length == 0 }
        }
    }

    /// Frees the lines of a recalled page, unless it was handed out again meanwhile. Returns whether it did.
    private func releasePage(_ offset: UInt64, of job: RecallJob) -> Bool {
        let holder = job.aliases.holder(job.kind)
        let lines = job.aliases.lines(ofPageAt: offset, in: job.kind, table: table)
            .filter { table[$0].holder == holder }
        var wasRefilled = false
        for line in lines where table[line].isRefilled {
            wasRefilled = true
            table[line] = table[line].notRefilled
        }
        if wasRefilled { return false }
        for line in lines where table[line].isRecalled { release(line, job.kind, job.aliases) }
        return true
    }

    /// A line that is recalled is back.
    func release(_ line: Int, _ kind: AliasKind, _ aliases: ObjectAliases) {
        table[line] = table[line].released
        if kind.isView { aliases.recalledViewLines -= 1 }
    }
}
