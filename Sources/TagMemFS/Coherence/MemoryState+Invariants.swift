import TagMemCore

/// What must hold whenever the directory's lock is free. Tests ask after every step; nothing else does.
///
/// ```
///   recalled           implies a holder;  refilled implies recalled
///   a writer           excludes readers, but write-backs of the page that it writes through the page cache
///   a page of a file   is held by its alias with all its lines or with none, and recalled likewise
///   reserved lines     = places of those who wait, each one's;  claimed lines = lines that jobs wait for
///   awaited            where somebody is parked;  who waits is parked somewhere, with something in his way
///   recalledViewLines  = recalled lines with a view as holder
///   recalled pages     = pages of the recall jobs, each in one, and of those under way
///   doneSequence       < the sequence of every job of the lane;  jobs are sorted by it
///   a line held by an object's alias is of a page that the object has, or is about to lose, or has lost to a ticket
/// ```
///
/// Pages of tickets are left out where a page of a file is looked at as a whole.
extension CoherenceDirectory {
    struct InvariantViolation: Error, CustomStringConvertible {
        let description: String
    }

    /// Linear in the lines of memory.
    func checkInvariants() throws(InvariantViolation) {
        if let violation = look({ $0.violation() }) { throw InvariantViolation(description: violation) }
    }
}

extension MemoryState {
    fileprivate func violation() -> String? {
        violationOfLines() ?? violationOfPages() ?? violationOfObjects() ?? violationOfWaiters()
            ?? violationOfRecallJobs(.free) ?? violationOfRecallJobs(.sized) ?? violationOfRecalls()
    }

    private func violationOfLines() -> String? {
        var held: [Int] = []
        var recalledViewLines: [ObjectID: Int] = [:]
        for line in 0..<lines.lineCount {
            let state = lines[line]
            func violation(_ text: String) -> String {
                "line \(line), state 0x\(String(state.rawValue, radix: 16)): \(text)"
            }
            if state.holder != 0 {
                held.append(line)
                if state.holderKind == nil { return violation("no such holder") }
                if state.isHeldByObject, owner(at: shownAddress(of: line)) == nil {
                    return violation("held by the object of a page that nobody owns")
                }
            }
            if state.rawValue & LineState.unusedMask != 0 { return violation("bits without a meaning") }
            if state.isRecalled, state.holder == 0 { return violation("recalled from nobody") }
            if state.isRefilled, !state.isRecalled { return violation("refilled, not recalled") }
            if state.hasWriter, state.hasReaders, state.holder == 0 {
                return violation("a writer beside readers")
            }
            if state.isAwaited != waits.isAwaited(line) {
                return violation("awaited by nobody, or not marked")
            }
            if state.isRecalled, state.isHeldByView {
                recalledViewLines[holder(of: line).object, default: 0] += 1
            }
        }
        for object in objects.ids where objects[object].recalledViewLines != recalledViewLines[object] ?? 0 {
            return "\(recalledViewLines[object] ?? 0) lines are recalled from views of"
                + " \(objects[object].memory.name), not \(objects[object].recalledViewLines)"
        }
        let found = (0..<lines.chunkCount).flatMap { lines.heldLines(inChunk: $0) }
        return found == held ? nil : "the table finds \(found.count) of \(held.count) held lines"
    }

    private func violationOfPages() -> String? {
        var isChecked = [Bool](repeating: false, count: lines.lineCount)
        for line in (0..<lines.chunkCount).flatMap({ lines.heldLines(inChunk: $0) }) {
            let state = lines[line]
            guard !isChecked[line], !isCondemned(line), let kind = state.holderKind else { continue }
            let (object, address) = holder(of: line)
            for other in shownLines(ofPageAt: kind.pageOffset(of: address), of: kind, object) {
                isChecked[other] = true
                if lines[other].holder != state.holder || lines[other].isRecalled != state.isRecalled
                    || lines[other].isRefilled != state.isRefilled
                {
                    return "lines \(line) and \(other) of one page of \(kind) differ"
                }
            }
        }
        return nil
    }

    /// The address that the holder's file shows of a line.
    private func shownAddress(of line: Int) -> PhysicalAddress {
        let (memory, tagged) = map.location(of: line)
        return lines[line].holderKind?.showsTags == true ? tagged ?? memory : memory
    }

    /// The lines of a page of a file, without those of pages that the object is about to lose or has not got yet.
    private func shownLines(ofPageAt offset: UInt64, of kind: AliasKind, _ object: ObjectID) -> [Int] {
        let shown = lines(ofPageAt: offset, of: kind, object)
        guard !object.isPhysical else { return shown }
        let end = UInt64(objects[object].memory.sizeInPages) * pages.layout.pageSize
        return shown.filter { line in
            let (memory, tagged) = map.location(of: line)
            return (owner(at: kind.showsTags ? tagged ?? memory : memory)?.address ?? 0) < end
        }
    }

    /// Whether a line is of a page that its object has lost, or is about to lose.
    private func isCondemned(_ line: Int) -> Bool {
        guard lines[line].isHeldByObject, let frame = pages.layout.frame(at: shownAddress(of: line)),
            let page = pages.allocator.page(at: frame), let object = objects.id(inSlot: page.owner.object)
        else { return false }
        let index = Int(page.owner.index)
        return objects[object].memory.pages.frame(at: index) != frame
            || index >= objects[object].memory.sizeInPages
    }

    /// Objects and allocator agree on whose pages are where.
    private func violationOfObjects() -> String? {
        for object in objects.ids where !object.isPhysical {
            for index in 0..<objects[object].memory.pages.count {
                guard let frame = objects[object].memory.pages.frame(at: index) else { continue }
                let owner = PageOwner(object: object.slot, index: UInt32(index))
                guard let page = pages.allocator.page(at: frame), page.owner == owner else {
                    return "page \(index) of \(objects[object].memory.name) is somebody else's"
                }
                if objects[object].reshaper == nil, page.use != objects[object].memory.use {
                    return "page \(index) of \(objects[object].memory.name) is \(page.use)"
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

    private func violationOfWaiters() -> String? {
        var reserved: [Int: WaitTicket] = [:]
        var bytes = 0
        var fills = 0
        for ticket in waits.tickets {
            guard let waiter = waits[ticket], waiter.grant == nil else { continue }
            if isDraining { return "something waits while draining" }
            bytes += waiter.access.keptBytes
            if waiter.access.isFill {
                fills += 1
                if waiter.access.requested > Int(Page.size) { return "a fill of several pages waits" }
            }
            if !objects[waiter.access.alias.object].waiting.contains(ticket) {
                return "an object does not know who waits for it"
            }
            switch waiter.place {
            case .none: return "somebody waits for nothing"
            case .mode:
                if objects[waiter.access.alias.object].modeChange == nil { return "a wait for no change" }
            case .pages: break
            case .line(let line):
                if !waits.parkedAt(line).contains(ticket) { return "line \(line) does not know who waits" }
                if let text = violationOfPlace(waiter, line) { return text }
            }
            for line in places(of: waiter) {
                if reserved.updateValue(ticket, forKey: line) != nil { return "line \(line) is two's place" }
            }
        }
        let claimed = waits.claimedLines
        for line in 0..<lines.lineCount {
            if lines[line].isReserved != (reserved[line] != nil) { return "line \(line) is nobody's place" }
            if lines[line].isClaimed != claimed.contains(line) { return "line \(line) is claimed by nobody" }
        }
        if bytes != waits.bytes { return "\(bytes) bytes wait, not \(waits.bytes)" }
        return fills == waits.fills ? nil : "\(fills) fills wait, not \(waits.fills)"
    }

    private func places(of waiter: Waiter) -> [Int] {
        if waiter.isRefill { return [] }
        return waiter.access.claims.indices.filter { $0 <= waiter.claim }.flatMap { index -> [Int] in
            let claim = waiter.access.claims[index]
            guard claim.intent.isReservable else { return [] }
            let count = index < waiter.claim ? claim.count : waiter.line + (waiter.hasNext ? 1 : 0)
            return Array(claim.start..<claim.start + count)
        }
    }

    /// Whoever waits first at a line has something in his way there, or what was is being recalled and will be told. He
    /// does not wait for the place of somebody who stands behind him.
    private func violationOfPlace(_ waiter: Waiter, _ line: Int) -> String? {
        guard waiter.isRefill || waits.firstParked(at: line) == waiter.ticket else { return nil }
        let hasPlace = waiter.isRefill || places(of: waiter).contains(line)
        let intents = waiter.access.claims.indices.map { waiter.access.claims[$0] }
            .filter { $0.lines.contains(line) }.map(\.intent)
        if lines[line].isRecalled { return nil }
        if intents.contains(where: {
            isInTheWay(line, $0, waiter.access.alias.holder, hasPlace: true, waiter.isRefill)
        }) {
            return nil
        }
        guard !hasPlace, intents.contains(where: \.isReservable), lines[line].isWanted else {
            return "nothing is in the way of who waits at line \(line)"
        }
        let isBehind = waits.parkedAt(line).contains { ticket in
            waits[ticket].map { places(of: $0).contains(line) } ?? false
        }
        return isBehind ? "somebody stands before who has his place at line \(line)" : nil
    }

    private func violationOfRecallJobs(_ lane: RecallLane) -> String? {
        if isDraining { return nil }
        var waiting = Set<Int>()
        var last = recalls[lane].doneSequence
        for job in recalls[lane].jobs {
            // The pages that one job has to repeat keep its place, and may be several jobs.
            if job.sequence < last { return "jobs are out of order" }
            if job.sequence <= recalls[lane].doneSequence { return "a job is done before its time" }
            last = job.sequence
            if job.ticket != nil { continue }
            for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
                for line in shownLines(ofPageAt: offset, of: job.kind, job.object) {
                    if lines[line].holder != job.alias.holder || !lines[line].isRecalled {
                        return "line \(line) is to be recalled from \(job.kind), which it is not marked for"
                    }
                    if !waiting.insert(line).inserted { return "line \(line) is recalled twice" }
                }
            }
        }
        return nil
    }

    private func violationOfRecalls() -> String? {
        if isDraining || recalls.isRecalling { return nil }
        var waiting = Set<Int>()
        for lane in RecallLane.allCases {
            for job in recalls[lane].jobs where job.ticket == nil {
                for offset in stride(from: job.offset, to: job.end, by: Int(Page.size)) {
                    waiting.formUnion(lines(ofPageAt: offset, of: job.kind, job.object))
                }
            }
        }
        for line in 0..<lines.lineCount where lines[line].isRecalled && !waiting.contains(line) {
            if isCondemned(line) { continue }
            return "line \(line) is marked as recalled, and nothing recalls it"
        }
        return nil
    }
}
