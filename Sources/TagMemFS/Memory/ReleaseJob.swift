import TagMemCore

/// Frees the pages of a ticket once nobody has them any more; with the last ones of a removed object, its number.
final class ReleaseJob: PageJob, @unchecked Sendable {
    private enum Phase { case start, recalled, freeing }

    private let ticket: ReleaseTicket
    private let isRemoval: Bool
    private var phase = Phase.start

    init(
        _ worker: PageWorker, _ ticket: ReleaseTicket, isRemoval: Bool, then operation: any DeferredOperation
    ) {
        self.ticket = ticket
        self.isRemoval = isRemoval
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        switch phase {
        case .start:
            phase = .recalled
            return .blocked(.ticket(ticket))
        case .recalled:
            for line in ticket.frames.lazy.flatMap({ self.lines(of: $0, directory) }) {
                let lineState = directory.table[line]
                guard lineState.isHeldByObject, let kind = lineState.holderKind else { continue }
                directory.release(line, kind, ticket.aliases)
            }
            phase = .freeing
            return .again
        case .freeing:
            return free(directory, &state)
        }
    }

    private func free(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        var mover = CoherentMover(directory)
        let hadPages = !ticket.frames.isEmpty
        for _ in 0..<Self.pagesPerStep {
            guard let frame = ticket.frames.last else { break }
            let busy = lines(of: frame, directory).filter { directory.table[$0].isBusy }
            if !busy.isEmpty { return .blocked(.lines(busy)) }
            ticket.frames.removeLast()
            directory.pages.setPinned(false, frame)
            directory.pages.allocator.free(frame, with: &mover)
            state.releases += 1
            state.needsReview = true
        }
        guard ticket.frames.isEmpty else { return .again }
        if hadPages {
            state.pendingReleases -= 1
            ticket.aliases.tickets -= 1
        }
        if isRemoval, let slot = ticket.aliases.slot {
            // Pages that it lost before it was removed are still known by its number.
            if ticket.aliases.tickets > 0 { return .blocked(.releases(state.releases)) }
            directory.pages.removeOwner(slot)
        }
        return .finished(nil)
    }

    private func lines(of frame: PageFrame, _ directory: CoherenceDirectory) -> [Int] {
        let span = directory.span(of: frame)
        let isTagged = directory.pages.allocator.use(of: frame) == .tagged
        return Array(span.lines) + (isTagged ? Array(span.companions) : [])
    }
}
