import TagMemCore

/// Changes the mode of an object when every page that the old mode handed out and the tags refuse has come back.
struct ModeJob: PageJob {
    private enum Phase { case start, looking, changing }

    private let object: ObjectID
    private let mode: TagCheckMode
    private var phase = Phase.start
    private var nextChunk = 0

    /// Chunks of lines that a step looks at, of which most have nothing in them; and those that have.
    private static let chunksPerStep = 4096
    private static let fullChunksPerStep = 1

    init(_ object: ObjectID, to mode: TagCheckMode) {
        self.object = object
        self.mode = mode
    }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        switch phase {
        case .start:
            if let blocked = state.beginModeChange(object, task) { return blocked }
            phase = .looking
            return .again
        case .looking: return look(&state)
        case .changing:
            // Both are so when it is this job's turn, unless something came in between.
            guard state.objects[object].recalledViewLines == 0, state.objects[object].checkedAccesses == 0
            else { return .blocked(.quiet(object)) }
            state.objects[object].memory.mode = mode
            state.endModeChange(object)
            return .finished(nil)
        }
    }

    /// Recalls what the tags refuse of the pages that are handed out through the object's views.
    private mutating func look(_ state: inout MemoryState) -> JobStep {
        var fullChunks = 0
        let end = min(nextChunk + Self.chunksPerStep, state.lines.chunkCount)
        while nextChunk < end, fullChunks < Self.fullChunksPerStep {
            let held = state.lines.heldLines(inChunk: nextChunk)
            if !held.isEmpty { fullChunks += 1 }
            for line in held {
                guard case .view(let tag) = state.lines[line].holderKind,
                    state.holder(of: line).object == object
                else { continue }
                if !state.matches(tag, line) { state.recall(line) }
            }
            nextChunk += 1
        }
        if nextChunk < state.lines.chunkCount { return .again }
        phase = .changing
        return .blocked(.quiet(object))
    }
}

extension MemoryState {
    /// Whether all of a line has tags, and this one.
    fileprivate func matches(_ tag: AddressTag, _ line: Int) -> Bool {
        let count = Int(map.size(of: line))
        guard let run = dram.run(at: map.location(of: line).address, limit: count), run.tagAddress != nil
        else {
            return false
        }
        return dram.firstMismatch(of: tag, at: run.address, count: count) == nil
    }
}
