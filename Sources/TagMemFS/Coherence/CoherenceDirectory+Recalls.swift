import TagMemCore

/// Taking pages back from the kernel.
extension CoherenceDirectory {
    /// The next pages to recall, for the recall thread.
    func nextRecall() -> RecallJob? {
        state.withLock { state in
            guard let job = state.jobs.popFirst() else { return nil }
            state.isRecalling = true
            return job
        }
    }

    /// The kernel gave the pages back. Those it asked for again meanwhile are recalled once more.
    func finishRecall(_ job: RecallJob) {
        let (ready, repeats): ([Waiter], Bool) = state.withLock { state in
            state.isRecalling = false
            var again: [RecallJob] = []
            for offset in stride(from: job.offset, to: job.offset + job.length, by: Int(Page.size)) {
                if releasePage(offset, of: job) { continue }
                if var last = again.last, last.offset + last.length == offset {
                    last.length += Page.size
                    again[again.count - 1] = last
                } else {
                    again.append(
                        RecallJob(
                            aliases: job.aliases, kind: job.kind, offset: offset, length: Page.size,
                            sequence: job.sequence))
                }
            }
            counters.add(.recallsRepeated, again.count)
            state.jobs.insert(contentsOf: again, at: 0)
            state.doneSequence = state.jobs.first.map { $0.sequence - 1 } ?? state.sequence
            return (grantQueued(&state), !again.isEmpty)
        }
        if repeats { wakeRecaller() }
        run(ready)
    }

    // MARK: Called with the lock held

    /// Recalls what the tags refuse of the pages that are handed out through an object's views.
    func recallMismatchingViews(of aliases: ObjectAliases, _ state: inout State) {
        table.forEachHeldLine { line in
            let kind = AliasKind(rawValue: table[line].holder)
            guard case .view(let tag) = kind, owner(of: line) === aliases else { return }
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

    /// The object whose alias holds a line.
    func owner(of line: Int) -> ObjectAliases { physical }

    /// Asks for a recall of the page of the holder's file that shows `line`, unless it is under way.
    func recall(_ line: Int, _ state: inout State) {
        let lineState = table[line]
        guard !state.isDraining, !lineState.isRecalled, let kind = AliasKind(rawValue: lineState.holder)
        else { return }
        let aliases = owner(of: line)
        let offset = aliases.pageOffset(of: line, in: kind, table: table)
        let spans = aliases.footprint(of: kind, at: offset, count: Int(Page.size), table: table).spans
        for index in spans.indices {
            for line in spans[index].lines where table[line].holder == kind.rawValue {
                table[line] = table[line].recalled
                if kind.isView { aliases.recalledViewLines += 1 }
            }
        }
        counters.add(.recalls)
        state.sequence += 1
        if var last = state.jobs.last, last.aliases === aliases, last.kind == kind,
            last.offset + last.length == offset
        {
            // One notification for neighbours. The job keeps the older number: what was asked for before this page
            // is done only with it.
            last.length += Page.size
            state.jobs[state.jobs.count - 1] = last
        } else {
            state.jobs.append(
                RecallJob(
                    aliases: aliases, kind: kind, offset: offset, length: Page.size, sequence: state.sequence)
            )
        }
    }

    /// Frees the lines of a recalled page, unless it was handed out again meanwhile. Returns whether it did.
    func releasePage(_ offset: UInt64, of job: RecallJob) -> Bool {
        let spans = job.aliases.footprint(of: job.kind, at: offset, count: Int(Page.size), table: table).spans
        var wasRefilled = false
        for index in spans.indices {
            for line in spans[index].lines where table[line].isRefilled {
                wasRefilled = true
                table[line] = table[line].notRefilled
            }
        }
        if wasRefilled { return false }
        for index in spans.indices {
            for line in spans[index].lines where table[line].isRecalled {
                table[line] = table[line].released
                if job.kind.isView { job.aliases.recalledViewLines -= 1 }
            }
        }
        return true
    }
}
