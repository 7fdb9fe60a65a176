import TagMemCore

/// Gets pages for a part of an object, and with a new size lets it grow: all of it or nothing.
///
/// ```
///   allocate ──▶ prepare ──▶ … next chunk … ──▶ attach
///       │ no page                                  (the object shows the pages)
///       └──▶ undo
/// ```
///
/// Pages are prepared (zeroed, with tag 0) outside of the lock, while their lines are claimed.
final class PopulateJob: PageJob, @unchecked Sendable {
    private enum Phase {
        case start, allocating, preparing, prepared, attaching
        case undoing(FileError)
    }

    private let aliases: ObjectAliases
    private let pages: Range<Int>
    private let newSize: UInt64?
    private var phase = Phase.start
    private var next: Int
    private var chunkStart: Int
    private var claimed: [LineSpan] = []
    private var use = PageUse.untagged

    /// Pages that are prepared together: large enough that memory that was never used stays so.
    private static let chunk = 4096
    private static let attachedPerStep = 1 << 16

    /// With `newSize`, the object grows to it, and `pages` are those that it then has.
    init(
        _ worker: PageWorker, _ aliases: ObjectAliases, pages: Range<Int>, newSize: UInt64? = nil,
        then operation: any DeferredOperation
    ) {
        self.aliases = aliases
        self.pages = pages
        self.newSize = newSize
        next = pages.lowerBound
        chunkStart = pages.lowerBound
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        switch phase {
        case .start: start(directory, &state)
        case .allocating: allocate(directory, &state)
        case .preparing: prepare(directory, &state)
        case .prepared: endPreparing(directory, &state)
        case .attaching: attach(directory, &state)
        case .undoing(let error): undo(error, directory, &state)
        }
    }

    private func start(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if let blocked = reshape(aliases) { return blocked }
        if let newSize, newSize <= aliases.object.size { return finish(aliases, &state) }
        use = aliases.object.use
        let table = aliases.object.pages
        let known = min(pages.upperBound, table.count)
        var missing = pages.upperBound - max(known, pages.lowerBound)
        for index in pages.lowerBound..<max(known, pages.lowerBound) where table.frame(at: index) == nil {
            missing += 1
        }
        let allocator = directory.pages
        let available =
            use == .tagged ? allocator.allocator.availableTagged : allocator.allocator.availableUntagged
        // An atomic allocation is tried: some of its pages may come from the reserve, which counts as in use.
        if !aliases.isAtomic, missing > available {
            if state.pendingReleases > 0 {
                aliases.reshaper = nil
                return .blocked(.releases(state.releases))
            }
            if !aliases.isAtomic { directory.reportNoSpace() }
            return finish(aliases, &state, .noSpace)
        }
        phase = missing == 0 ? .attaching : .allocating
        return .again
    }

    private func allocate(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        guard let slot = aliases.slot else { preconditionFailure("phys owns no pages") }
        var mover = CoherentMover(directory)
        defer {
            if mover.moves > 0 {
                isStalled = true
                state.needsReview = true
            }
        }
        let chunkEnd = min(chunkStart + Self.chunk, pages.upperBound)
        let stepEnd = min(next + Self.pagesPerStep, chunkEnd)
        aliases.object.pages.extend(to: stepEnd)
        while next < stepEnd, mover.moves < Self.movesPerStep {
            if aliases.object.pages.frame(at: next) == nil {
                let owner = PageOwner(object: slot, index: UInt32(next))
                do throws(AllocationError) {
                    let frame =
                        try aliases.isAtomic
                        ? directory.pages.allocator.allocateAtomic(use, for: owner, with: &mover)
                        : directory.pages.allocator.allocate(use, for: owner, with: &mover)
                    aliases.object.pages.insertPending(frame, at: next)
                } catch {
                    return noPage(error, mover, directory, &state)
                }
            }
            next += 1
        }
        if next == chunkEnd { phase = .preparing }
        return .again
    }

    private func stall(
        for lines: [Int], _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        isStalled = true
        return wait(for: lines, directory, &state)
    }

    private func noPage(
        _ error: AllocationError, _ mover: CoherentMover, _ directory: CoherenceDirectory,
        _ state: inout CoherenceDirectory.State
    ) -> Step {
        if case .mustWait = error { return stall(for: mover.obstacles, directory, &state) }
        if !aliases.isAtomic, state.pendingReleases > 0 { return .blocked(.releases(state.releases)) }
        if !aliases.isAtomic { directory.reportNoSpace() }
        phase = .undoing(.noSpace)
        return .again
    }

    /// Claims the lines of a chunk's new pages and of their tags, which nobody may copy or have cached.
    private func prepare(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        let table = directory.table
        var spans: [LineSpan] = []
        for index in chunkStart..<next where aliases.object.pages[index] == nil {
            guard let frame = aliases.object.pages.frame(at: index) else { continue }
            table.append(directory.span(of: frame), to: &spans)
        }
        var obstacles: [Int] = []
        for span in spans {
            for line in span.lines where table[line].isBusy || table[line].holder != 0 {
                obstacles.append(line)
            }
            for line in span.companions {
                let isInTheWay =
                    span.isTagStorage
                    ? table[line].isHeldByView
                    : use == .tagged && (table[line].isBusy || table[line].holder != 0)
                if isInTheWay { obstacles.append(line) }
            }
        }
        guard obstacles.isEmpty else {
            if aliases.isAtomic {
                phase = .undoing(.noSpace)
                return .again
            }
            return stall(for: obstacles, directory, &state)
        }
        forEachClaimedLine(spans) { table[$0] = table[$0].addingWriter }
        claimed = spans
        phase = .prepared
        let withTags = use == .tagged
        return .outside { directory.clear(spans, withTags: withTags) }
    }

    private func endPreparing(
        _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        forEachClaimedLine(claimed) { line in
            if directory.table[line].isWanted { state.needsReview = true }
            directory.table[line] = directory.table[line].removingWriter
        }
        claimed = []
        chunkStart = next
        phase = next < pages.upperBound ? .allocating : .attaching
        if case .attaching = phase { next = pages.lowerBound }
        return .again
    }

    private func forEachClaimedLine(_ spans: [LineSpan], _ body: (Int) -> Void) {
        for span in spans {
            for line in span.lines { body(line) }
            if use == .tagged { for line in span.companions { body(line) } }
        }
    }

    private func attach(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if newSize != nil {
            let lines = directory.recallEnd(of: aliases, &state)
            if !lines.isEmpty { return .blocked(.lines(lines)) }
        }
        let end = min(next + Self.attachedPerStep, pages.upperBound)
        while next < end {
            if aliases.object.pages[next] == nil { aliases.object.pages.setReady(next) }
            next += 1
        }
        if next < pages.upperBound { return .again }
        if let newSize { aliases.object.size = newSize }
        return finish(aliases, &state)
    }

    /// Gives back what was got, which nobody has seen.
    private func undo(
        _ error: FileError, _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        var mover = CoherentMover(directory)
        let first = max(pages.lowerBound, next - Self.pagesPerStep)
        while next > first {
            next -= 1
            guard aliases.object.pages[next] == nil, let frame = aliases.object.pages.frame(at: next) else {
                continue
            }
            directory.pages.allocator.free(frame, with: &mover)
            aliases.object.pages.remove(next)
        }
        if next > pages.lowerBound { return .again }
        aliases.object.shortenPages()
        return finish(aliases, &state, error)
    }
}

extension CoherenceDirectory {
    /// Recalls the pages that show an object's end and what it gets behind it: those of files of tags, which do not hold
    /// the lines of pages that were not there, and those of views, which may show it against its tags. Pages of `mem`
    /// hold all that they will show. Returns the lines that are to be waited for.
    func recallEnd(of aliases: ObjectAliases, _ state: inout State) -> [Int] {
        var held: [Int] = []
        for kind in AliasKind.all
        where kind != .mem && aliases.object.size % (Page.size * kind.scale) != 0 {
            let offset = aliases.pageOffset(of: aliases.object.size - 1, in: kind)
            for line in aliases.lines(ofPageAt: offset, in: kind, table: table)
            where table[line].holder == aliases.holder(kind) {
                recall(line, &state)
                held.append(line)
            }
        }
        return held
    }

    /// Sets the memory of claimed lines to zero, and the tags of data lines.
    func clear(_ spans: [LineSpan], withTags: Bool) {
        for span in spans {
            clear(span.lines)
            if withTags, !span.isTagStorage { clear(span.companions) }
        }
    }

    /// Sets the memory of consecutive lines of one region to zero.
    func clear(_ lines: Range<Int>) {
        guard let first = lines.first else { return }
        dram.clear(table.location(of: first).address, count: lines.count * Int(table.size(of: first)))
    }
}
