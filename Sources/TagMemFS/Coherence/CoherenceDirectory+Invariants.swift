import TagMemCore

/// What must hold whenever the directory's lock is free. Tests ask after every step; nothing else does.
///
/// ```
///   recalled           implies a holder;  refilled implies recalled;  a writer excludes readers
///   a page of a file   is held by its alias with all its lines or with none, and recalled likewise
///   wanted lines       = lines of waiting claims, and of the tags that they check
///   recalledViewLines  = recalled lines with a view as holder
///   queuedBytes        = bytes of waiting writes;  queuedFills = waiting fills
///   recalled pages     = pages of the jobs, each in one, and of the job under way
///   doneSequence       < the sequence of every job;  jobs are sorted by it
/// ```
extension CoherenceDirectory {
    struct InvariantViolation: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Linear in the lines of memory.
    func checkInvariants() throws(InvariantViolation) {
        let violation = state.withLock { state in
            violationOfLines() ?? violationOfPages() ?? violationOfQueue(state) ?? violationOfJobs(state)
        }
        if let violation { throw InvariantViolation(violation) }
    }

    private func violationOfLines() -> String? {
        var held: [Int] = []
        var recalledViewLines = 0
        for line in 0..<table.lineCount {
            let lineState = table[line]
            func violation(_ text: String) -> String {
                "line \(line), state 0x\(String(lineState.rawValue, radix: 16)): \(text)"
            }
            if lineState.holder != 0 {
                held.append(line)
                if AliasKind(rawValue: lineState.holder) == nil { return violation("no such holder") }
            }
            if lineState.rawValue & 0x60 != 0 { return violation("bits without a meaning are set") }
            if lineState.isRecalled, lineState.holder == 0 { return violation("recalled from nobody") }
            if lineState.isRefilled, !lineState.isRecalled { return violation("refilled, not recalled") }
            if lineState.hasWriter, lineState.hasReaders { return violation("a writer beside readers") }
            if lineState.isRecalled, lineState.isHeldByView { recalledViewLines += 1 }
        }
        if recalledViewLines != physical.recalledViewLines {
            return "\(recalledViewLines) lines are recalled from views, not \(physical.recalledViewLines)"
        }
        var found: [Int] = []
        table.forEachHeldLine { found.append($0) }
        return found == held ? nil : "the table finds \(found.count) of \(held.count) held lines"
    }

    private func violationOfPages() -> String? {
        var violation: String?
        var isChecked = [Bool](repeating: false, count: table.lineCount)
        table.forEachHeldLine { line in
            let lineState = table[line]
            guard violation == nil, !isChecked[line], let kind = AliasKind(rawValue: lineState.holder) else {
                return
            }
            for other in lines(ofPageAt: physical.pageOffset(of: line, in: kind, table: table), of: kind) {
                let otherState = table[other]
                isChecked[other] = true
                if otherState.holder != lineState.holder || otherState.isRecalled != lineState.isRecalled
                    || otherState.isRefilled != lineState.isRefilled
                {
                    violation = "lines \(line) and \(other) of one page of \(kind) differ"
                    return
                }
            }
        }
        return violation
    }

    private func lines(ofPageAt offset: UInt64, of kind: AliasKind) -> [Int] {
        let spans = physical.footprint(of: kind, at: offset, count: Int(Page.size), table: table).spans
        return spans.indices.flatMap { Array(spans[$0].lines) }
    }

    private func violationOfQueue(_ state: borrowing State) -> String? {
        if state.isDraining { return state.queue.isEmpty ? nil : "something waits while draining" }
        var wanted = Set<Int>()
        var bytes = 0
        var fills = 0
        var waitingMode: Waiter?
        for waiter in state.queue {
            if waiter.grant != nil { return "something that was decided waits" }
            bytes += waiter.bytes
            switch waiter.condition {
            case .claim(let claim):
                for index in claim.footprint.spans.indices {
                    let span = claim.footprint.spans[index]
                    wanted.formUnion(span.lines)
                    if !span.isTagStorage, claim.checkedTag != nil { wanted.formUnion(span.companions) }
                }
                if case .fill(let pages) = claim.purpose {
                    fills += 1
                    if pages != 1 { return "a fill of \(pages) pages waits" }
                }
            case .modeChange:
                waitingMode = waitingMode ?? waiter
            case .recalls(let sequence):
                if sequence <= state.doneSequence { return "a wait for recalls that are done" }
            }
        }
        for line in 0..<table.lineCount where table[line].isWanted != wanted.contains(line) {
            return "line \(line) is wanted by nobody, or not marked as wanted"
        }
        if bytes != state.queuedBytes { return "\(bytes) bytes wait, not \(state.queuedBytes)" }
        if fills != state.queuedFills { return "\(fills) fills wait, not \(state.queuedFills)" }
        return physical.modeChange === waitingMode
            ? nil : "the mode change under way is not the first that waits"
    }

    private func violationOfJobs(_ state: borrowing State) -> String? {
        if state.isDraining { return nil }
        if state.doneSequence > state.sequence { return "recalls are done that nobody asked for" }
        var waiting = Set<Int>()
        var last = state.doneSequence
        for job in state.jobs {
            // The pages that one job has to repeat keep its place, and may be several jobs.
            if job.sequence < last { return "jobs are out of order" }
            if job.sequence <= state.doneSequence { return "a job is done before its time" }
            last = job.sequence
            for offset in stride(from: job.offset, to: job.offset + job.length, by: Int(Page.size)) {
                for line in lines(ofPageAt: offset, of: job.kind) {
                    if table[line].holder != job.kind.rawValue || !table[line].isRecalled {
                        return "line \(line) is to be recalled from \(job.kind), which it is not marked for"
                    }
                    if !waiting.insert(line).inserted { return "line \(line) is recalled twice" }
                }
            }
        }
        if state.isRecalling { return nil }
        for line in 0..<table.lineCount where table[line].isRecalled && !waiting.contains(line) {
            return "line \(line) is marked as recalled, and nothing recalls it"
        }
        return nil
    }
}
