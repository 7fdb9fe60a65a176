import TagMemCore

/// Makes an object smaller, or takes all pages of one that was removed.
///
/// Views and tags of what is cut off are recalled before the job ends. What the kernel has of it through `mem` it drops
/// itself, when the size change is answered and before another one begins: nobody waits for that, and a recall of it
/// might meet that other one. Pages that somebody still has go into a ticket, and are free when they have come back
/// (`ReleaseJob`); all others are free at once.
final class ShrinkJob: PageJob, @unchecked Sendable {
    private enum Phase { case start, cutting, clearingTail, waiting }

    private let aliases: ObjectAliases
    private let newSize: UInt64
    private let isRemoval: Bool
    private var phase = Phase.start
    private var next = 0
    private var lastRecall: (kind: AliasKind, offset: UInt64)?
    private let ticket: ReleaseTicket

    /// The ticket is complete when the job is done, and to be released then.
    init(
        _ worker: PageWorker, _ ticket: ReleaseTicket, to newSize: UInt64, isRemoval: Bool,
        then operation: any DeferredOperation
    ) {
        aliases = ticket.aliases
        self.newSize = newSize
        self.isRemoval = isRemoval
        self.ticket = ticket
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        switch phase {
        case .start: start(directory, &state)
        case .cutting: cut(directory, &state)
        case .clearingTail: clearTail(directory, &state)
        case .waiting: finish(aliases, &state)
        }
    }

    private func start(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if let blocked = reshape(aliases) { return blocked }
        guard newSize <= aliases.object.size || isRemoval else { return finish(aliases, &state) }
        aliases.object.size = newSize
        aliases.version += 1
        state.needsReview = true
        next = aliases.object.sizeInPages
        let kept = UInt64(next) * directory.pages.layout.pageSize
        directory.cutRecalls(of: aliases, at: kept, &state)
        phase = .cutting
        return .again
    }

    private func cut(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        var mover = CoherentMover(directory)
        let end = min(next + Self.pagesPerStep, aliases.object.pages.count)
        while next < end {
            if let frame = aliases.object.pages.frame(at: next) {
                if condemn(frame, directory, &state) {
                    if ticket.frames.isEmpty {
                        state.pendingReleases += 1
                        aliases.tickets += 1
                    }
                    ticket.frames.append(frame)
                    directory.pages.setPinned(true, frame)
                } else {
                    directory.pages.setPinned(false, frame)
                    directory.pages.allocator.free(frame, with: &mover)
                }
                aliases.object.pages.remove(next)
            }
            next += 1
        }
        if next < aliases.object.pages.count { return .again }
        aliases.object.shortenPages()
        state.releases += 1
        phase = .clearingTail
        return .again
    }

    /// Recalls what the kernel has of a page. Returns whether somebody has it still.
    private func condemn(
        _ frame: PageFrame, _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Bool {
        var isHeld = false
        let span = directory.span(of: frame)
        func look(at line: Int) {
            let lineState = directory.table[line]
            if lineState.isBusy { isHeld = true }
            guard lineState.isHeldByObject, let kind = lineState.holderKind else { return }
            if kind == .mem, !isRemoval {
                directory.table[line] = lineState.released
                return
            }
            isHeld = true
            let (_, address) = directory.holder(of: line)
            let offset = aliases.pageOffset(of: address, in: kind)
            if !lineState.isRecalled {
                directory.table[line] = lineState.recalled
                if kind.isView { aliases.recalledViewLines += 1 }
            }
            // A page of a file of tags shows many pages of the object.
            if let last = lastRecall, last == (kind, offset) { return }
            lastRecall = (kind, offset)
            directory.addRecall(aliases, kind, at: offset, .free, ticket: ticket, &state)
        }
        for line in span.lines { look(at: line) }
        if aliases.object.kind == .tagged { for line in span.companions { look(at: line) } }
        return isHeld
    }

    /// What lies behind the end in the last page is zero when the object grows again.
    private func clearTail(
        _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        let pageSize = directory.pages.layout.pageSize
        let inPage = newSize % pageSize
        if newSize > 0, let frame = aliases.object.pages[Int((newSize - 1) / pageSize)] {
            let span = directory.span(of: frame)
            var obstacles: [Int] = []
            let tagLines = aliases.object.kind == .tagged ? span.companions : 0..<0
            for line in [span.lines, tagLines].joined() {
                let lineState = directory.table[line]
                // The kernel clears what it has of `mem`, and writes back nothing from behind the end.
                let isOwnMem = lineState.isHeldByObject && lineState.holderKind == .mem
                if lineState.holder != 0, !isOwnMem { directory.recall(line, &state) }
                if lineState.isBusy || lineState.holder != 0 && !isOwnMem { obstacles.append(line) }
            }
            // The page of a file of tags that shows the end shows pages that are gone, too: it goes in any case.
            if !obstacles.isEmpty { return .blocked(.lines(obstacles)) }
            if inPage != 0 { directory.clearTail(of: frame, from: inPage, withTags: !tagLines.isEmpty) }
        }
        phase = .waiting
        return .blocked(.recalls(upTo: state[.free].sequence))
    }
}

extension CoherenceDirectory {
    /// Sets a page's bytes from `offset` on to zero, and the tags of granules that begin there.
    func clearTail(of frame: PageFrame, from offset: UInt64, withTags: Bool) {
        let address = pages.layout.address(of: frame) + offset
        let count = Int(pages.layout.pageSize - offset)
        dram.zero(address, count: count)
        let inGranule = offset % TagGranule.size
        let skipped = inGranule == 0 ? 0 : Int(TagGranule.size - inGranule)
        if withTags, count > skipped {
            dram.fillTags(
                AllocationTag(truncating: 0), at: address + UInt64(skipped), count: count - skipped)
        }
    }
}
