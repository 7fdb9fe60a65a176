import TagMemCore

/// Makes a hole in an object: whole pages go back, the rest of the range is set to zero. The size stays.
final class PunchJob: PageJob, @unchecked Sendable {
    private let aliases: ObjectAliases
    private let range: Range<UInt64>
    private var next: UInt64

    init(
        _ worker: PageWorker, _ aliases: ObjectAliases, _ range: Range<UInt64>,
        then operation: any DeferredOperation
    ) {
        self.aliases = aliases
        self.range = range
        next = range.lowerBound
        super.init(worker, then: operation)
    }

    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if let blocked = reshape(aliases) { return blocked }
        var mover = CoherentMover(directory)
        let pageSize = directory.pages.layout.pageSize
        let end = min(range.upperBound, UInt64(aliases.object.pages.count) * pageSize)
        for _ in 0..<Self.pagesPerStep where next < end {
            let index = Int(next / pageSize)
            let pageEnd = UInt64(index + 1) * pageSize
            if let frame = aliases.object.pages[index] {
                let obstacles = directory.recallAll(of: frame, aliases.object.use, &state)
                if !obstacles.isEmpty { return .blocked(.lines(obstacles)) }
                let part = next % pageSize..<min(end, pageEnd) - UInt64(index) * pageSize
                if part == 0..<pageSize {
                    directory.pages.setPinned(false, frame)
                    directory.pages.allocator.free(frame, with: &mover)
                    aliases.object.pages.remove(index)
                    aliases.version += 1
                    state.releases += 1
                    state.needsReview = true
                } else {
                    directory.dram.zero(
                        directory.pages.layout.address(of: frame) + part.lowerBound, count: part.count)
                }
            }
            next = min(end, pageEnd)
        }
        if next < end { return .again }
        aliases.object.shortenPages()
        return finish(aliases, &state)
    }
}

extension CoherenceDirectory {
    /// Recalls a page, and its tags, from whoever has it. Returns the lines that are to be waited for; none if nobody
    /// has or copies it.
    func recallAll(of frame: PageFrame, _ use: PageUse, _ state: inout State) -> [Int] {
        let span = span(of: frame)
        var obstacles: [Int] = []
        func look(at line: Int) {
            if table[line].holder != 0 { recall(line, &state) }
            if table[line].holder != 0 || table[line].isBusy { obstacles.append(line) }
        }
        for line in span.lines { look(at: line) }
        if use == .tagged { for line in span.companions { look(at: line) } }
        return obstacles
    }
}
