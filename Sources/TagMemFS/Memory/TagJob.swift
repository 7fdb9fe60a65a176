import TagMemCore

/// Turns an untagged object into a tagged one: contents stay, tags start at 0. All of it or nothing.
final class TagJob: PageJob, @unchecked Sendable {
    private enum Phase {
        case start, converting, clearing, cleared
        case reverting(FileError)
    }

    private let aliases: ObjectAliases
    private var phase = Phase.start
    private var next = 0
    private var claimed: [Range<Int>] = []

    init(_ worker: PageWorker, _ aliases: ObjectAliases, then operation: any DeferredOperation) {
        self.aliases = aliases
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        switch phase {
        case .start:
            if let blocked = reshape(aliases) { return blocked }
            phase = .converting
            return .again
        case .converting: return convert(directory, &state)
        case .clearing: return clear(directory, &state)
        case .cleared: return endClearing(directory, &state)
        case .reverting(let error): return revert(error, directory, &state)
        }
    }

    private func convert(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        var mover = CoherentMover(directory)
        defer { if mover.moves > 0 { state.needsReview = true } }
        let pages = aliases.object.pages.count
        let end = min(next + Self.pagesPerStep, pages)
        while next < end, mover.moves < Self.movesPerStep {
            if let frame = aliases.object.pages.frame(at: next) {
                do throws(AllocationError) {
                    _ = try directory.pages.allocator.setUse(
                        .tagged, of: frame, inPlace: sharesBlock(frame, directory), with: &mover)
                } catch .mustWait {
                    isStalled = true
                    return wait(for: mover.obstacles, directory, &state)
                } catch {
                    if state.pendingReleases > 0 { return .blocked(.releases(state.releases)) }
                    directory.reportNoSpace()
                    phase = .reverting(.noSpace)
                    return .again
                }
            }
            next += 1
        }
        if next == pages {
            phase = .clearing
            next = 0
        }
        return .again
    }

    /// Whether the object's next pages fill half of the block, as they do where they were allocated in order.
    private func sharesBlock(_ frame: PageFrame, _ directory: CoherenceDirectory) -> Bool {
        let layout = directory.pages.layout
        let other = aliases.object.pages.frame(at: next + layout.geometry.dataPages / 2)
        return other.map { layout.block(of: $0) == layout.block(of: frame) } ?? false
    }

    /// Claims the lines of some pages' tags, which nobody may copy or have cached, nor views their data.
    private func clear(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        let pages = aliases.object.pages.count
        guard next < pages else {
            aliases.object.kind = .tagged
            return finish(aliases, &state)
        }
        var obstacles: [Int] = []
        var spans: [LineSpan] = []
        let end = min(next + Self.pagesPerStep, pages)
        for index in next..<end {
            guard let frame = aliases.object.pages.frame(at: index) else { continue }
            let span = directory.span(of: frame)
            for line in span.lines where directory.table[line].isHeldByView { obstacles.append(line) }
            for line in span.companions
            where directory.table[line].isBusy || directory.table[line].holder != 0 {
                obstacles.append(line)
            }
            directory.table.append(span, to: &spans)
        }
        if !obstacles.isEmpty { return wait(for: obstacles, directory, &state) }
        next = end
        claimed = spans.map(\.companions)
        for line in claimed.joined() { directory.table[line] = directory.table[line].addingWriter }
        phase = .cleared
        let lines = claimed
        return .outside { for lines in lines { directory.clear(lines) } }
    }

    private func endClearing(
        _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        for line in claimed.joined() {
            if directory.table[line].isWanted { state.needsReview = true }
            directory.table[line] = directory.table[line].removingWriter
        }
        claimed = []
        phase = .clearing
        return .again
    }

    private func revert(
        _ error: FileError, _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step {
        directory.untag(aliases, from: max(0, next - Self.pagesPerStep), to: next)
        next = max(0, next - Self.pagesPerStep)
        return next > 0 ? .again : finish(aliases, &state, error)
    }
}

/// Turns a tagged object into an untagged one: contents stay, tags are dropped. It always succeeds.
///
/// Nothing is checked any more from the first step on; views and tags are then taken from all mappings.
final class UntagJob: PageJob, @unchecked Sendable {
    private let aliases: ObjectAliases
    private var hasBegun = false
    private var next = 0

    init(_ worker: PageWorker, _ aliases: ObjectAliases, then operation: any DeferredOperation) {
        self.aliases = aliases
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if let blocked = reshape(aliases) { return blocked }
        if !hasBegun {
            hasBegun = true
            aliases.object.kind = .untagged
            aliases.version += 1
            state.needsReview = true
        }
        var obstacles: [Int] = []
        let pages = aliases.object.pages.count
        let end = min(next + Self.pagesPerStep, pages)
        for index in next..<end {
            guard let frame = aliases.object.pages.frame(at: index) else { continue }
            let span = directory.span(of: frame)
            for line in span.lines
            where directory.table[line].isHeldByView && directory.table[line].isHeldByObject {
                obstacles.append(line)
            }
            for line in span.companions
            where directory.table[line].isBusy || directory.table[line].isHeldByObject {
                obstacles.append(line)
            }
        }
        for line in obstacles where directory.table[line].isHeldByObject { directory.recall(line, &state) }
        if !obstacles.isEmpty { return .blocked(.lines(obstacles)) }
        directory.untag(aliases, from: next, to: end)
        next = end
        return next < pages ? .again : finish(aliases, &state)
    }
}

extension CoherenceDirectory {
    /// The pages of an object, which nobody looks at through tags, are for untagged use.
    func untag(_ aliases: ObjectAliases, from first: Int, to end: Int) {
        var mover = CoherentMover(self)
        for index in first..<end {
            guard let frame = aliases.object.pages.frame(at: index) else { continue }
            do throws(AllocationError) {
                _ = try pages.allocator.setUse(.untagged, of: frame, with: &mover)
            } catch {
                preconditionFailure("a page cannot turn untagged: \(error)")
            }
        }
    }
}
