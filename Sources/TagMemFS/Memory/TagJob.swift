import TagMemCore

/// Turns an untagged object into a tagged one: contents stay, tags start at 0. All of it or nothing.
struct TagJob: PageJob {
    private enum Phase {
        case start, promising, converting, clearing, cleared
        case reverting(FileError)
    }

    private let object: ObjectID
    private var phase = Phase.start
    private var next = 0
    private var claimed: [Range<Int>] = []
    /// Pages that are promised to turn and have not turned.
    private var promised = 0

    init(_ object: ObjectID) { self.object = object }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start:
            if let blocked = state.reshape(object, task) { return blocked }
            phase = .promising
            return .again
        case .promising: return promise(&state)
        case .converting: return convert(&state, task)
        case .clearing: return clear(&state)
        case .cleared: return endClearing(&state)
        case .reverting(let error): return revert(error, &state)
        }
    }

    /// Has the room for the tags of all pages promised.
    private mutating func promise(_ state: inout MemoryState) -> JobStep {
        let memory = state.objects[object].memory
        let pages = memory.kind == .untagged ? memory.pages.present : 0
        guard state.pages.allocator.promiseTagging(pages: pages) else {
            if state.jobs.pendingReleases > 0 { return .blocked(.releases(state.jobs.releases)) }
            state.reportNoSpace()
            return state.finishReshaping(object, .noSpace)
        }
        promised = pages
        phase = .converting
        return .again
    }

    private mutating func convert(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        let (object, start) = (object, next)
        var promised = promised
        defer { self.promised = promised }
        typealias Outcome = (next: Int?, error: AllocationError?, obstacles: [Int])
        let outcome: Outcome = state.withMover { allocator, mover in
            var next = start
            for _ in 0..<JobTask.pagesPerStep where mover.moves < JobTask.movesPerStep {
                guard let index = mover.objects[object].memory.pages.nextPresent(from: next) else {
                    return (nil, nil, [])
                }
                next = index
                let inPlace = mover.objects[object].memory.sharesBlock(index, allocator.layout)
                guard let frame = mover.objects[object].memory.pages.frame(at: index) else { break }
                do throws(AllocationError) {
                    if allocator.use(of: frame) == .untagged {
                        _ = try allocator.tagPromised(frame, inPlace: inPlace, with: &mover)
                        promised -= 1
                    }
                } catch {
                    return (next, error, mover.obstacles)
                }
                next += 1
            }
            return (next, nil, [])
        }
        if let reached = outcome.next { next = reached }
        switch outcome.error {
        case nil: break
        case .mustWait:
            task.isStalled = true
            return state.wait(for: outcome.obstacles)
        default:
            if state.jobs.pendingReleases > 0 { return .blocked(.releases(state.jobs.releases)) }
            state.reportNoSpace()
            phase = .reverting(.noSpace)
            return .again
        }
        if outcome.next == nil {
            phase = .clearing
            next = 0
        }
        return .again
    }

    /// Claims the lines of some pages' tags, which nobody may copy or have cached, nor views their data.
    private mutating func clear(_ state: inout MemoryState) -> JobStep {
        var obstacles: [Int] = []
        var spans: [LineSpan] = []
        var end = next
        for _ in 0..<JobTask.pagesPerStep {
            guard let index = state.objects[object].memory.pages.nextPresent(from: end),
                let frame = state.objects[object].memory.pages.frame(at: index)
            else { break }
            end = index + 1
            let span = state.span(of: frame)
            for line in span.lines where state.lines[line].isHeldByView { obstacles.append(line) }
            for line in span.companions where state.lines[line].isBusy || state.lines[line].holder != 0 {
                obstacles.append(line)
            }
            state.map.append(span, to: &spans)
        }
        guard end > next else {
            state.objects[object].memory.kind = .tagged
            state.noteChange(of: object, 0..<UInt64.max)
            return state.finishReshaping(object)
        }
        if !obstacles.isEmpty { return state.wait(for: obstacles) }
        next = end
        claimed = spans.map(\.companions)
        for line in claimed.joined() { state.lines[line] = state.lines[line].addingWriter }
        phase = .cleared
        let (dram, map, lines) = (state.dram, state.map, claimed)
        return .outside { for lines in lines { dram.clear(lines, map) } }
    }

    private mutating func endClearing(_ state: inout MemoryState) -> JobStep {
        for line in claimed.joined() { state.set(line, state.lines[line].removingWriter) }
        claimed = []
        phase = .clearing
        return .again
    }

    private mutating func revert(_ error: FileError, _ state: inout MemoryState) -> JobStep {
        state.pages.allocator.releaseTaggingPromise(pages: promised)
        promised = 0
        let first = max(0, next - JobTask.pagesPerStep)
        state.untag(object, first..<next)
        next = first
        return next > 0 ? .again : state.finishReshaping(object, error)
    }
}

/// Turns a tagged object into an untagged one: contents stay, tags are dropped. It always succeeds.
///
/// From the first step on, views and files of tags refuse what they do not have; then what they have is taken from all
/// mappings, and then the object is untagged. What came in through a view until its page was back is kept.
struct UntagJob: PageJob {
    private enum Phase { case start, recalling, turning }

    private let object: ObjectID
    private var phase = Phase.start
    private var next = 0

    init(_ object: ObjectID) { self.object = object }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start:
            if let blocked = state.reshape(object, task) { return blocked }
            state.objects[object].isUntagging = true
            state.noteChange(of: object, 0..<UInt64.max)
            phase = .recalling
            return .again
        case .recalling: return recall(&state)
        case .turning: return turn(&state)
        }
    }

    private mutating func recall(_ state: inout MemoryState) -> JobStep {
        var obstacles: [Int] = []
        var end = next
        for _ in 0..<JobTask.pagesPerStep {
            guard let index = state.objects[object].memory.pages.nextPresent(from: end),
                let frame = state.objects[object].memory.pages.frame(at: index)
            else { break }
            end = index + 1
            let span = state.span(of: frame)
            for line in span.lines where state.lines[line].isHeldByView && state.lines[line].isHeldByObject {
                obstacles.append(line)
            }
            for line in span.companions where state.lines[line].isBusy || state.lines[line].isHeldByObject {
                obstacles.append(line)
            }
        }
        for line in obstacles where state.lines[line].isHeldByObject { state.recall(line) }
        if !obstacles.isEmpty { return .blocked(.lines(obstacles)) }
        if end > next {
            next = end
            return .again
        }
        state.objects[object].memory.kind = .untagged
        state.objects[object].isUntagging = false
        state.noteChange(of: object, 0..<UInt64.max)
        next = 0
        phase = .turning
        return .again
    }

    private mutating func turn(_ state: inout MemoryState) -> JobStep {
        var frames: [Int] = []
        while frames.count < JobTask.pagesPerStep,
            let index = state.objects[object].memory.pages.nextPresent(from: next)
        {
            frames.append(index)
            next = index + 1
        }
        guard let first = frames.first, let last = frames.last else { return state.finishReshaping(object) }
        state.untag(object, first..<last + 1)
        return .again
    }
}
