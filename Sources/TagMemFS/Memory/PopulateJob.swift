import TagMemCore

/// Gets pages for a part of an object, and with a new size lets it grow: all of it or nothing.
///
/// ```
///   allocate ──▶ prepare ──▶ … next chunk … ──▶ attach ──▶ grow ──▶ (recall the old end)
///       │ no page                                  (the object shows the pages)
///       └──▶ undo
/// ```
///
/// Pages are prepared (zeroed, with tag 0) outside of the lock, while their lines are claimed.
struct PopulateJob: PageJob {
    private enum Phase {
        case start, counting, allocating, preparing, prepared, attaching, growing, dropping, ending
        case undoing(FileError)
    }

    private let object: ObjectID
    private let pages: Range<Int>
    private let newSize: UInt64?
    private let cause: PageDemand.Cause
    private var phase = Phase.start
    private var next: Int
    private var chunkStart: Int
    private var claimed: [LineSpan] = []
    private var use = PageUse.untagged
    private var isAtomic = false
    /// Pages that are promised and not taken.
    private var promised = 0

    /// Pages that are prepared together: large enough that memory that was never used stays so.
    private static let chunk = 4096
    private static let attachedPerStep = 1 << 14

    init(_ demand: PageDemand) {
        object = demand.object
        pages = demand.pages
        newSize = demand.newSize
        cause = demand.cause
        next = pages.lowerBound
        chunkStart = pages.lowerBound
    }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start: start(&state, task)
        case .counting: count(&state)
        case .allocating: allocate(&state, task)
        case .preparing: prepare(&state, task)
        case .prepared: endPreparing(&state)
        case .attaching: attach(&state)
        case .growing: grow(&state, task)
        case .dropping: dropZeroPages(&state)
        case .ending: finish(&state, task)
        case .undoing(let error): undo(error, &state)
        }
    }

    private mutating func start(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if let blocked = state.reshape(object, task) { return blocked }
        if let newSize, newSize <= state.objects[object].memory.size {
            return state.finishReshaping(object)
        }
        use = state.objects[object].memory.use
        isAtomic = state.objects[object].isAtomic
        phase = .counting
        return .again
    }

    /// Has all pages promised that are missing, so that of several growths that begin together those that fit succeed.
    private mutating func count(_ state: inout MemoryState) -> JobStep {
        let missing = state.objects[object].memory.pages.absentCount(in: pages)
        // An atomic allocation is tried: some of its pages may come from the reserve, which counts as in use.
        guard isAtomic || state.pages.allocator.promise(use, pages: missing) else {
            if state.jobs.pendingReleases > 0 {
                state.endReshaping(object)
                phase = .start
                return .blocked(.releases(state.jobs.releases))
            }
            state.reportNoSpace()
            return state.finishReshaping(object, .noSpace)
        }
        if !isAtomic { promised = missing }
        phase = missing == 0 ? .attaching : .allocating
        return .again
    }

    private mutating func allocate(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        let chunkEnd = min(chunkStart + Self.chunk, pages.upperBound)
        let stepEnd = min(next + JobTask.pagesPerStep, chunkEnd)
        state.objects[object].memory.pages.extend(to: stepEnd)
        let (object, use, isAtomic) = (object, use, isAtomic)
        var (next, promised) = (next, promised)
        let (error, obstacles, moves): (AllocationError?, [Int], Int) = state.withMover { allocator, mover in
            while next < stepEnd, mover.moves < JobTask.movesPerStep {
                if mover.objects[object].memory.pages.frame(at: next) == nil {
                    let owner = PageOwner(object: object.slot, index: UInt32(next))
                    do throws(AllocationError) {
                        let frame =
                            try isAtomic
                            ? allocator.allocateAtomic(use, for: owner, with: &mover)
                            : allocator.allocatePromised(use, for: owner, with: &mover)
                        if !isAtomic { promised -= 1 }
                        mover.objects[object].memory.pages.insertPending(frame, at: next)
                    } catch {
                        return (error, mover.obstacles, mover.moves)
                    }
                }
                next += 1
            }
            return (nil, [], mover.moves)
        }
        self.next = next
        self.promised = promised
        if moves > 0 { task.isStalled = true }
        if let error { return noPage(error, obstacles, &state, task) }
        if next == chunkEnd { phase = .preparing }
        return .again
    }

    private mutating func noPage(
        _ error: AllocationError, _ obstacles: [Int], _ state: inout MemoryState, _ task: JobTask
    ) -> JobStep {
        if case .mustWait = error {
            task.isStalled = true
            return state.wait(for: obstacles)
        }
        if !isAtomic {
            if state.jobs.pendingReleases > 0 { return .blocked(.releases(state.jobs.releases)) }
            state.reportNoSpace()
        }
        phase = .undoing(.noSpace)
        return .again
    }

    /// Claims the lines of a chunk's new pages and of their tags, which nobody may copy or have cached.
    private mutating func prepare(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        var spans: [LineSpan] = []
        for index in chunkStart..<next where state.objects[object].memory.pages[index] == nil {
            guard let frame = state.objects[object].memory.pages.frame(at: index) else { continue }
            state.map.append(state.span(of: frame), to: &spans)
        }
        var obstacles: [Int] = []
        for span in spans {
            for line in span.lines where state.lines[line].isBusy || state.lines[line].holder != 0 {
                obstacles.append(line)
            }
            for line in span.companions {
                let line = (number: line, state: state.lines[line])
                let isInTheWay =
                    span.isTagStorage
                    ? line.state.isHeldByView
                    : use == .tagged && (line.state.isBusy || line.state.holder != 0)
                if isInTheWay { obstacles.append(line.number) }
            }
        }
        guard obstacles.isEmpty else {
            if isAtomic {
                phase = .undoing(.noSpace)
                return .again
            }
            task.isStalled = true
            return state.wait(for: obstacles)
        }
        forEachClaimedLine(spans) { state.lines[$0] = state.lines[$0].addingWriter }
        claimed = spans
        phase = .prepared
        let (dram, map, lines, withTags) = (state.dram, state.map, claimed, use == .tagged)
        return .outside { dram.clear(lines, withTags: withTags, map) }
    }

    private mutating func endPreparing(_ state: inout MemoryState) -> JobStep {
        forEachClaimedLine(claimed) { state.set($0, state.lines[$0].removingWriter) }
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

    private mutating func attach(_ state: inout MemoryState) -> JobStep {
        let end = min(next + Self.attachedPerStep, pages.upperBound)
        let pageSize = state.pages.layout.pageSize
        let addresses = UInt64(next) * pageSize..<UInt64(end) * pageSize
        while next < end {
            if state.objects[object].memory.pages[next] == nil {
                state.objects[object].memory.pages.setReady(next)
            }
            next += 1
        }
        state.noteChange(of: object, addresses)
        if next < pages.upperBound { return .again }
        phase = newSize == nil ? .ending : .dropping
        return .again
    }

    /// Has the kernel drop the pages of zeros that it was given behind the end, in page cache mode.
    private mutating func dropZeroPages(_ state: inout MemoryState) -> JobStep {
        state.objects[object].cached.isGrowing = true
        phase = .growing
        var locked: Range<UInt64> = 0..<0
        if case .cached(_, let pages) = cause { locked = pages }
        let zeroPages = state.objects[object].cached.takeZeroPages(besides: locked, for: newSize ?? 0)
        if zeroPages.isEmpty { return .again }
        return state.drop(zeroPages, of: object)
    }

    /// The object gets its new size.
    private mutating func grow(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        guard let newSize else { return .again }
        let lines = state.recallEnd(of: object)
        if !lines.isEmpty { return .blocked(.lines(lines)) }
        let old = state.objects[object].memory.size
        state.objects[object].memory.size = newSize
        state.objects[object].cached.isGrowing = false
        state.noteChange(of: object, old..<UInt64.max)
        task.notices = state.sizesToTell(of: object)
        phase = .ending
        return state.recallTail(of: object, behind: old, cause)
    }

    private mutating func finish(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        state.noteAttributes(of: object)
        return state.finishReshaping(object)
    }

    /// Gives back what was got, which nobody has seen.
    private mutating func undo(_ error: FileError, _ state: inout MemoryState) -> JobStep {
        state.pages.allocator.releasePromise(use, pages: promised)
        promised = 0
        let first = max(pages.lowerBound, next - JobTask.pagesPerStep)
        let (object, last) = (object, next)
        state.withMover { allocator, mover in
            for index in (first..<last).reversed() where mover.objects[object].memory.pages[index] == nil {
                guard let frame = mover.objects[object].memory.pages.frame(at: index) else { continue }
                allocator.free(frame, with: &mover)
                mover.objects[object].memory.pages.remove(index)
            }
        }
        next = first
        if next > pages.lowerBound { return .again }
        state.objects[object].memory.shortenPages()
        return state.finishReshaping(object, error)
    }
}

extension DRAM {
    /// Sets the memory of claimed lines to zero, and the tags of data lines.
    func clear(_ spans: [LineSpan], withTags: Bool, _ map: LineMap) {
        for span in spans {
            clear(span.lines, map)
            if withTags, !span.isTagStorage { clear(span.companions, map) }
        }
    }

    /// Sets the memory of consecutive lines of one region to zero.
    func clear(_ lines: Range<Int>, _ map: LineMap) {
        guard let first = lines.first else { return }
        clear(map.location(of: first).address, count: lines.count * Int(map.size(of: first)))
    }
}
