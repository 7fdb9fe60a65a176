import TagMemCore

/// What must hold whenever the directory's lock is free. Tests ask after every step; nothing else does.
///
/// ```
///   recalled           implies a holder;  refilled implies recalled
///   a writer           excludes readers, but write-backs of the page that it writes through the page cache
///   a page of a file   is held by its alias with all its lines or with none, and recalled likewise
///   wanted lines       = lines of waiting claims, and of the tags that they check
///   recalledViewLines  = recalled lines with a view as holder
///   queuedBytes        = bytes of waiting writes;  queuedFills = waiting fills
///   recalled pages     = pages of the jobs, each in one, and of the jobs under way
///   doneSequence       < the sequence of every job of the lane;  jobs are sorted by it
///   a line held by an object's alias is of a page that the object has, or is about to lose, or has lost to a ticket
/// ```
///
/// Pages of tickets are left out where a page of a file is looked at as a whole.
extension CoherenceDirectory {
    struct InvariantViolation: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Linear in the lines of memory.
    func checkInvariants() throws(InvariantViolation) {
        let violation = state.withLock { state in
            violationOfLines() ?? violationOfPages() ?? violationOfObjects() ?? violationOfQueue(state)
                ?? violationOfJobs(state, .free) ?? violationOfJobs(state, .sized)
                ?? violationOfRecalls(state)
        }
        if let violation { throw InvariantViolation(violation) }
    }

    private func violationOfLines() -> String? {
        var held: [Int] = []
        var recalledViewLines: [ObjectIdentifier: Int] = [:]
        for line in 0..<table.lineCount {
            let lineState = table[line]
            func violation(_ text: String) -> String {
                "line \(line), state 0x\(String(lineState.rawValue, radix: 16)): \(text)"
            }
            if lineState.holder != 0 {
                held.append(line)
                if lineState.holderKind == nil { return violation("no such holder") }
                if lineState.isHeldByObject, pages.owner(at: shownAddress(of: line)) == nil {
                    return violation("held by the object of a page that nobody owns")
                }
            }
            if lineState.rawValue & 0x40 != 0 { return violation("bits without a meaning are set") }
            if lineState.isRecalled, lineState.holder == 0 { return violation("recalled from nobody") }
            if lineState.isRefilled, !lineState.isRecalled { return violation("refilled, not recalled") }
            if lineState.hasWriter, lineState.hasReaders, lineState.holder == 0 {
                return violation("a writer beside readers")
            }
            if lineState.isRecalled, lineState.isHeldByView {
                recalledViewLines[ObjectIdentifier(holder(of: line).aliases), default: 0] += 1
            }
        }
        for aliases in [physical] + pages.owners.compactMap({ $0 }) {
            let count = recalledViewLines[ObjectIdentifier(aliases)] ?? 0
            if count != aliases.recalledViewLines {
                return "\(count) lines are recalled from views of \(aliases.object.name), not"
                    + " \(aliases.recalledViewLines)"
            }
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
            guard violation == nil, !isChecked[line], !isCondemned(line), let kind = lineState.holderKind
            else {
                return
            }
            let (aliases, address) = holder(of: line)
            let offset = aliases.pageOffset(of: address, in: kind)
            for other in shownLines(ofPageAt: offset, in: kind, aliases) {
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

    /// The address that the holder's file shows of a line.
    private func shownAddress(of line: Int) -> PhysicalAddress {
        let (memory, tagged) = table.location(of: line)
        return table[line].holderKind?.showsTags == true ? tagged ?? memory : memory
    }

    /// The lines of a page of a file, without those of pages that the object is about to lose or has not got yet.
    private func shownLines(ofPageAt offset: UInt64, in kind: AliasKind, _ aliases: ObjectAliases) -> [Int] {
        let lines = aliases.lines(ofPageAt: offset, in: kind, table: table)
        guard aliases.slot != nil else { return lines }
        return lines.filter { line in
            let (memory, tagged) = table.location(of: line)
            return (pages.owner(at: kind.showsTags ? tagged ?? memory : memory)?.address ?? 0)
                < UInt64(aliases.object.sizeInPages) * pages.layout.pageSize
        }
    }

    /// Whether a line is of a page that its object has lost, or is about to lose.
    private func isCondemned(_ line: Int) -> Bool {
        guard table[line].isHeldByObject, let frame = pages.layout.frame(at: shownAddress(of: line)),
            let page = pages.allocator.page(at: frame), let aliases = pages.owners[Int(page.owner.object)]
        else { return false }
        let index = Int(page.owner.index)
        return aliases.object.pages.frame(at: index) != frame || index >= aliases.object.sizeInPages
    }

    /// Objects and allocator agree on whose pages are where.
    private func violationOfObjects() -> String? {
        for (slot, aliases) in pages.owners.enumerated() {
            guard let aliases else { continue }
            let object = aliases.object
            for index in 0..<object.pages.count {
                guard let frame = object.pages.frame(at: index) else { continue }
                let owner = PageOwner(object: UInt32(slot), index: UInt32(index))
                guard let page = pages.allocator.page(at: frame), page.owner == owner else {
                    return "page \(index) of \(object.name) is somebody else's"
                }
                if aliases.reshaper == nil, page.use != object.use {
                    return "page \(index) of \(object.name) is \(page.use)"
                }
            }
        }
        do throws(TagMemCore.InvariantViolation) {
            try pages.allocator.checkInvariants()
            return nil
        } catch {
            return error.description
        }
    }

    private func violationOfQueue(_ state: borrowing State) -> String? {
        if state.isDraining { return state.queue.isEmpty ? nil : "something waits while draining" }
        var wanted = Set<Int>()
        var bytes = 0
        var fills = 0
        var modeChanges: [ObjectIdentifier: Waiter] = [:]
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
            case .modeChange(let aliases, _):
                let object = ObjectIdentifier(aliases)
                modeChanges[object] = modeChanges[object] ?? waiter
            case .recalls(let sequence):
                if sequence <= state[.free].doneSequence { return "a wait for recalls that are done" }
            case .job(let job):
                wanted.formUnion(job.wantedLines)
            }
        }
        for line in 0..<table.lineCount where table[line].isWanted != wanted.contains(line) {
            return "line \(line) is wanted by nobody, or not marked as wanted"
        }
        if bytes != state.queuedBytes { return "\(bytes) bytes wait, not \(state.queuedBytes)" }
        if fills != state.queuedFills { return "\(fills) fills wait, not \(state.queuedFills)" }
        for aliases in [physical] + pages.owners.compactMap({ $0 })
        where aliases.modeChange !== modeChanges[ObjectIdentifier(aliases)] {
            return "the mode change of \(aliases.object.name) under way is not the first that waits"
        }
        return nil
    }

    private func violationOfJobs(_ state: borrowing State, _ lane: RecallLane) -> String? {
        if state.isDraining { return nil }
        var waiting = Set<Int>()
        var last = state[lane].doneSequence
        for job in state[lane].jobs {
            // The pages that one job has to repeat keep its place, and may be several jobs.
            if job.sequence < last { return "jobs are out of order" }
            if job.sequence <= state[lane].doneSequence { return "a job is done before its time" }
            last = job.sequence
            if job.ticket != nil { continue }
            for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
                for line in shownLines(ofPageAt: offset, in: job.kind, job.aliases) {
                    if table[line].holder != job.aliases.holder(job.kind) || !table[line].isRecalled {
                        return "line \(line) is to be recalled from \(job.kind), which it is not marked for"
                    }
                    if !waiting.insert(line).inserted { return "line \(line) is recalled twice" }
                }
            }
        }
        return nil
    }

    private func violationOfRecalls(_ state: borrowing State) -> String? {
        if state.isDraining || state.lanes.contains(where: { $0.current != nil }) { return nil }
        var waiting = Set<Int>()
        for lane in state.lanes {
            for job in lane.jobs where job.ticket == nil {
                for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
                    waiting.formUnion(job.aliases.lines(ofPageAt: offset, in: job.kind, table: table))
                }
            }
        }
        for line in 0..<table.lineCount where table[line].isRecalled && !waiting.contains(line) {
            if isCondemned(line) { continue }
            return "line \(line) is marked as recalled, and nothing recalls it"
        }
        return nil
    }
}
