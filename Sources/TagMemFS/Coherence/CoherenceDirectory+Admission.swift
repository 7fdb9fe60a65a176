import TagMemCore

/// Which claims may go ahead, and what the lines remember of those that do. Called with the lock held.
extension CoherenceDirectory {
    /// Grants what can be granted, first come, first served. Who has a grant is put where `runReady` finds it.
    func grantQueued(_ state: inout State) {
        guard !state.queue.isEmpty else { return }
        for waiter in state.queue { forEachWantedLine(of: waiter) { $0.notWanted } }
        var waiting: [Waiter] = []
        let queue = state.queue
        state.queue = []
        for waiter in queue {
            if let grant = decide(waiter, &state) {
                waiter.grant = grant
                // Checked claims that came before the change were held up by it too, and were looked at before it
                // was done.
                if case .modeChange = waiter.condition { state.needsReview = true }
                state.queuedBytes -= waiter.bytes
                if case .claim(let claim) = waiter.condition, case .fill = claim.purpose {
                    state.queuedFills -= 1
                }
                state.ready.append(waiter)
            } else {
                if case .claim(let claim) = waiter.condition { wantLines(of: claim, &state) }
                if case .job(let job) = waiter.condition { wantLines(of: job, &state) }
                waiting.append(waiter)
            }
        }
        state.queue = waiting
    }

    func decide(_ waiter: Waiter, _ state: inout State) -> Grant? {
        switch waiter.condition {
        case .claim(let claim):
            return decide(claim, &state)
        case .modeChange(let aliases, let mode):
            if aliases.modeChange == nil {
                aliases.modeChange = waiter
                recallMismatchingViews(of: aliases, &state)
            }
            guard aliases.modeChange === waiter, aliases.recalledViewLines == 0,
                aliases.checkedOperations == 0
            else { return nil }
            aliases.modeChange = nil
            aliases.object.mode = mode
            return .granted(mode)
        case .recalls(let sequence):
            return state[.free].doneSequence >= sequence ? .granted(.none) : nil
        case .job(let job):
            return resume(job, &state) ? .granted(.none) : nil
        }
    }

    /// Grants a claim, or returns nil if it has to wait.
    func decide(_ claim: Claim, _ state: inout State) -> Grant? {
        if claim.isStale { return .stale }
        let mode = claim.aliases.object.mode
        var isRefill = claim.handsOut
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines {
                let lineState = table[line]
                isRefill = isRefill && lineState.holder == claim.holder && lineState.holder != 0
                guard isFree(line, lineState, for: claim) else { return nil }
            }
        }
        // A page that its alias holds already is given again at once, whatever waits: the kernel holds its lock.
        if !isRefill {
            if claim.checkedTag != nil, claim.aliases.modeChange != nil { return nil }
            for index in spans.indices where needsCompanions(spans[index], claim) {
                for line in spans[index].companions {
                    let companion = table[line]
                    if spans[index].isTagStorage {
                        if companion.isHeldByView { return nil }
                    } else if companion.hasWriter || companion.isWanted || companion.hasManyReaders {
                        return nil
                    }
                }
            }
        } else if checksDirectly(claim) {
            // But not while its tags are written, or read by many, which nothing can hold up.
            for index in spans.indices where !spans[index].isTagStorage {
                for line in spans[index].companions
                where table[line].hasWriter || table[line].hasManyReaders { return nil }
            }
        }
        if case .fill = claim.purpose, let tag = claim.checkedTag, mode.refusesMismatchingPages,
            let mismatch = firstMismatch(of: tag, claim.footprint)
        {
            return .mismatch(mismatch, mode)
        }
        mark(claim)
        return .granted(mode)
    }

    func isFree(_ number: Int, _ line: LineState, for claim: Claim) -> Bool {
        switch claim.purpose {
        case .fill:
            // Rule: a fill from the alias that holds the page is answered at once, also while it is recalled.
            // Copies that are under way nothing can hold up, so it may wait for those.
            if line.hasWriter || line.hasManyReaders { return false }
            return line.holder == claim.holder || line.holder == 0 && !line.isWanted
        case .read:
            if line.hasWriter || line.isWanted || line.hasManyReaders { return false }
            return line.holder == 0 || line.holder == claim.holder || !mayBeDirty(number)
        case .write:
            return line.holder == 0 && !line.isBusy && !line.isWanted
        case .cachedWrite:
            if line.holder == claim.holder { return !line.isBusy }
            return line.holder == 0 && !line.isBusy && !line.isWanted
        case .writeback:
            return true
        }
    }

    /// Whether the holder of a line may have stored to it.
    func mayBeDirty(_ line: Int) -> Bool {
        guard let kind = table[line].holderKind else { return false }
        return holder(of: line).aliases.openWriters[Int(kind.rawValue)] > 0
    }

    /// Whether a claim on a span looks at the companions: checks at the tags, changes of tags at the views.
    func needsCompanions(_ span: LineSpan, _ claim: Claim) -> Bool {
        span.isTagStorage ? claim.isWrite : claim.checkedTag != nil
    }

    func mark(_ claim: Claim) {
        let spans = claim.footprint.spans
        for index in spans.indices {
            switch claim.purpose {
            case .fill:
                for line in spans[index].lines {
                    let lineState = table[line].held(by: claim.holder).addingReader
                    table[line] = lineState.isRecalled ? lineState.refilled : lineState
                }
            case .read:
                for line in spans[index].lines { table[line] = table[line].addingReader }
            case .writeback:
                for line in spans[index].lines { table[line] = table[line].addingWriteback }
            case .write:
                for line in spans[index].lines { table[line] = table[line].addingWriter }
            case .cachedWrite:
                for line in spans[index].lines {
                    let lineState = table[line].held(by: claim.holder).addingWriter
                    table[line] = lineState.isRecalled ? lineState.refilled : lineState
                }
            }
            if checksDirectly(claim), !spans[index].isTagStorage {
                for line in spans[index].companions { table[line] = table[line].addingReader }
            }
        }
        if checksDirectly(claim) { claim.aliases.checkedOperations += 1 }
    }

    /// Returns whether a queued operation wants one of the lines.
    func unmark(_ claim: Claim) -> Bool {
        var isWanted = false
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines {
                let lineState = table[line]
                isWanted = isWanted || lineState.isWanted
                table[line] = claim.isWrite ? lineState.removingWriter : lineState.removingReader
            }
            if checksDirectly(claim), !spans[index].isTagStorage {
                for line in spans[index].companions {
                    let lineState = table[line]
                    isWanted = isWanted || lineState.isWanted
                    table[line] = lineState.removingReader
                }
            }
        }
        if checksDirectly(claim) { claim.aliases.checkedOperations -= 1 }
        return isWanted
    }

    /// Fills are checked while they are decided; everything else that checks does so while it copies.
    func checksDirectly(_ claim: Claim) -> Bool {
        if case .fill = claim.purpose { return false }
        return claim.checkedTag != nil
    }

    /// Changes the lines that a waiter has marked as wanted.
    private func forEachWantedLine(of waiter: Waiter, _ change: (LineState) -> LineState) {
        switch waiter.condition {
        case .claim(let claim): forEachClaimedLine(claim, change)
        case .job(let job): for line in job.wantedLines { table[line] = change(table[line]) }
        case .modeChange, .recalls: break
        }
    }

    func forEachClaimedLine(_ claim: Claim, _ change: (LineState) -> LineState) {
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines { table[line] = change(table[line]) }
            if needsCompanions(spans[index], claim), !spans[index].isTagStorage {
                for line in spans[index].companions { table[line] = change(table[line]) }
            }
        }
    }

    /// Reserves a waiting claim's place on its lines and recalls what stands in its way.
    func wantLines(of claim: Claim, _ state: inout State) {
        forEachClaimedLine(claim) { $0.wanted }
        let spans = claim.footprint.spans
        for index in spans.indices {
            for line in spans[index].lines {
                let lineState = table[line]
                guard lineState.holder != 0 else { continue }
                let stays =
                    claim.purpose == .read
                    && (lineState.holder == claim.holder || !mayBeDirty(line))
                if !stays { recall(line, &state) }
            }
            guard spans[index].isTagStorage, claim.isWrite else { continue }
            for line in spans[index].companions where table[line].isHeldByView { recall(line, &state) }
        }
    }

    func firstMismatch(of tag: AddressTag, _ footprint: Footprint) -> PhysicalAddress? {
        for index in footprint.pieces.indices {
            guard case .memory(let address, let count) = footprint.pieces[index] else { continue }
            if let mismatch = dram.firstMismatch(of: tag, at: address, count: count) { return mismatch }
        }
        return nil
    }
}
