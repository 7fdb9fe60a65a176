import TagMemCore

/// Frees the pages of a ticket once nobody has them any more; with the last ones of a removed object, the object.
struct ReleaseJob: PageJob {
    private enum Phase { case start, recalled, freeing }

    private let ticket: ReleaseTicket
    private let isRemoval: Bool
    private var phase = Phase.start
    private var next = 0
    /// Whether the ticket counts among the object's.
    private var isCounted: Bool

    init(_ ticket: ReleaseTicket, isRemoval: Bool) {
        self.ticket = ticket
        self.isRemoval = isRemoval
        isCounted = !ticket.frames.isEmpty
    }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start:
            phase = .recalled
            return .blocked(.ticket(ticket))
        case .recalled:
            return release(&state)
        case .freeing:
            return free(&state)
        }
    }

    private mutating func release(_ state: inout MemoryState) -> JobStep {
        let end = min(next + JobTask.pagesPerStep, ticket.frames.count)
        for frame in ticket.frames[next..<end] {
            for line in lines(of: frame, state) {
                let lineState = state.lines[line]
                guard lineState.isHeldByObject, let kind = lineState.holderKind else { continue }
                state.release(line, kind, ticket.object)
            }
        }
        next = end
        if next == ticket.frames.count { phase = .freeing }
        return .again
    }

    private mutating func free(_ state: inout MemoryState) -> JobStep {
        for _ in 0..<JobTask.pagesPerStep {
            guard let frame = ticket.frames.last else { break }
            let busy = lines(of: frame, state).filter { state.lines[$0].isBusy }
            if !busy.isEmpty { return .blocked(.lines(busy)) }
            ticket.frames.removeLast()
            state.free(frame)
            state.pagesWereReleased()
        }
        guard ticket.frames.isEmpty else { return .again }
        if isCounted {
            isCounted = false
            state.objects[ticket.object].tickets -= 1
            state.countPendingRelease(-1)
        }
        if isRemoval, !ticket.object.isPhysical {
            // Pages that it lost before it was removed are still known by its slot.
            if state.objects[ticket.object].tickets > 0 { return .blocked(.releases(state.jobs.releases)) }
            state.remove(ticket.object)
        }
        return .finished(nil)
    }

    private func lines(of frame: PageFrame, _ state: borrowing MemoryState) -> [Int] {
        let span = state.span(of: frame)
        let isTagged = state.pages.allocator.use(of: frame) == .tagged
        return Array(span.lines) + (isTagged ? Array(span.companions) : [])
    }
}
