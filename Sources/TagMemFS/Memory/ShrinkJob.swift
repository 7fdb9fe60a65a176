import TagMemCore

/// Makes an object smaller, or takes all pages of one that was removed.
///
/// Views and tags of what is cut off are recalled before the job ends. What the kernel has of it through `mem` it drops
/// itself, when the size change is answered and before another one begins: nobody waits for that, and a recall of it
/// might meet that other one. Pages that somebody still has go into a ticket, and are free when they have come back
/// (`ReleaseJob`, which the job starts when it is done); all others are free at once.
struct ShrinkJob: PageJob {
    private enum Phase { case start, cutting, clearingTail, waiting }

    private let object: ObjectID
    private let newSize: UInt64
    /// Set if the object was removed: who is told when all of its pages are gone.
    private let removal: (any Completion)?
    private let ticket: ReleaseTicket
    private var phase = Phase.start
    private var next = 0
    private var lastRecall: (kind: AliasKind, offset: UInt64)?

    private var isRemoval: Bool { removal != nil }

    init(_ object: ObjectID, to newSize: UInt64, removal: (any Completion)? = nil) {
        self.object = object
        self.newSize = newSize
        self.removal = removal
        ticket = ReleaseTicket(object)
    }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start: start(&state, task)
        case .cutting: cut(&state)
        case .clearingTail: clearTail(&state)
        case .waiting: finish(&state)
        }
    }

    private mutating func start(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if let blocked = state.reshape(object, task) { return blocked }
        let old = state.objects[object].memory.size
        guard newSize <= old || isRemoval else { return state.finishReshaping(object) }
        state.objects[object].memory.size = newSize
        next = state.objects[object].memory.sizeInPages
        let kept = UInt64(next) * state.pages.layout.pageSize
        for offset in state.objects[object].staleBytes.keys where offset >= newSize {
            state.objects[object].staleBytes[offset] = nil
        }
        state.objects[object].cached.forgetAllUnseen()
        state.cutRecalls(of: object, at: kept)
        state.noteChange(of: object, newSize..<UInt64.max)
        phase = .cutting
        return .again
    }

    private mutating func cut(_ state: inout MemoryState) -> JobStep {
        for _ in 0..<JobTask.pagesPerStep {
            guard let index = state.objects[object].memory.pages.nextPresent(from: next),
                let frame = state.objects[object].memory.pages.frame(at: index)
            else {
                state.objects[object].memory.shortenPages()
                state.pagesWereReleased()
                phase = .clearingTail
                return .again
            }
            if condemn(frame, &state) {
                if ticket.frames.isEmpty {
                    state.countPendingRelease(1)
                    state.objects[object].tickets += 1
                }
                ticket.frames.append(frame)
                state.pages.setPinned(true, frame)
            } else {
                state.free(frame)
            }
            state.objects[object].memory.pages.remove(index)
            next = index + 1
        }
        return .again
    }

    /// Recalls what the kernel has of a page. Returns whether somebody has it still.
    private mutating func condemn(_ frame: PageFrame, _ state: inout MemoryState) -> Bool {
        var isHeld = false
        let span = state.span(of: frame)
        let tagLines = state.objects[object].memory.kind == .tagged ? span.companions : 0..<0
        for line in [span.lines, tagLines].joined() {
            let lineState = state.lines[line]
            if lineState.isBusy { isHeld = true }
            guard lineState.isHeldByObject, let kind = lineState.holderKind else { continue }
            if kind == .mem, !isRemoval {
                state.set(line, lineState.released)
                continue
            }
            isHeld = true
            let offset = kind.pageOffset(of: state.holder(of: line).address)
            state.markRecalled(line, kind, object)
            // A page of a file of tags shows many pages of the object.
            if let lastRecall, lastRecall == (kind, offset) { continue }
            lastRecall = (kind, offset)
            state.addRecall(object, kind, at: offset, .free, ticket: ticket)
        }
        return isHeld
    }

    /// What lies behind the end in the last page is zero when the object grows again.
    private mutating func clearTail(_ state: inout MemoryState) -> JobStep {
        let pageSize = state.pages.layout.pageSize
        let inPage = newSize % pageSize
        if newSize > 0, let frame = state.objects[object].memory.pages[Int((newSize - 1) / pageSize)] {
            let span = state.span(of: frame)
            var obstacles: [Int] = []
            let tagLines = state.objects[object].memory.kind == .tagged ? span.companions : 0..<0
            for line in [span.lines, tagLines].joined() {
                let lineState = state.lines[line]
                // The kernel clears what it has of `mem`, and writes back nothing from behind the end.
                let isOwnMem = lineState.isHeldByObject && lineState.holderKind == .mem
                if lineState.holder != 0, !isOwnMem { state.recall(line) }
                if lineState.isBusy || lineState.holder != 0 && !isOwnMem { obstacles.append(line) }
            }
            if inPage != 0 { obstacles += state.recallViews(taggedBy: frame) }
            // The page of a file of tags that shows the end shows pages that are gone, too: it goes in any case.
            if !obstacles.isEmpty { return .blocked(.lines(obstacles)) }
            if inPage != 0 { state.clearTail(of: frame, from: inPage, withTags: !tagLines.isEmpty) }
        }
        phase = .waiting
        return .blocked(.recalls(.free, upTo: state.recalls[.free].sequence))
    }

    private func finish(_ state: inout MemoryState) -> JobStep {
        if isRemoval || !ticket.frames.isEmpty {
            state.start(
                ReleaseJob(ticket, isRemoval: isRemoval), then: removal.map { .completion($0) } ?? .nobody)
        }
        return state.finishReshaping(object)
    }
}
