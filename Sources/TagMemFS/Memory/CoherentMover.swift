import TagMemCore

/// The mover of the page allocator: moves pages under mappings and requests, none of which notices.
///
/// A page moves when nobody copies it and no file of `phys` has it cached: those name it by its physical address. The
/// object's own files name it by the object's, so what the kernel has of it stays, dirty or not, and comes back to where
/// the page is then. A page that cannot move now is refused, and the mover gives up: its lines are in `obstacles`, for
/// the job to wait for.
///
/// Made for one step of a job, under the directory's lock. Pages are not zeroed and tags not cleared here: that is done
/// before the object shows the page.
struct CoherentMover: PageMover {
    private let directory: CoherenceDirectory
    private let copier: DRAMPageMover
    /// Lines that are copied at this moment, or cached through `phys`.
    private(set) var obstacles: [Int] = []
    /// Pages moved or exchanged.
    private(set) var moves = 0

    init(_ directory: CoherenceDirectory) {
        self.directory = directory
        copier = DRAMPageMover(dram: directory.dram, layout: directory.pages.layout)
    }

    private var table: LineTable { directory.table }

    var hasGivenUp: Bool { !obstacles.isEmpty }

    func zero(_ frame: PageFrame, for use: PageUse) {}

    func clearTags(of frame: PageFrame) {}

    func clean(_ block: BlockIndex, for use: TagPageUse) {}

    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        let (from, to) = (directory.span(of: page.frame), directory.span(of: target))
        collectObstacles(from, page.use)
        collectObstacles(to, page.use)
        if to.isTagStorage { collectViews(of: to) }
        guard obstacles.isEmpty, copier.move(page, to: target) else { return false }
        handOver(states(from, to), to)
        clear(from)
        if page.use == .tagged {
            for (source, target) in zip(from.companions, to.companions) {
                table[target] = table[source].handedOver(to: table[target])
                table[source] = LineState.free.handedOver(to: table[source])
            }
        }
        moves += 1
        return true
    }

    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        let (left, right) = (directory.span(of: first.frame), directory.span(of: second.frame))
        let movesTags: PageUse = first.use == .tagged || second.use == .tagged ? .tagged : .untagged
        collectObstacles(left, movesTags)
        let outcome: ExchangeOutcome = obstacles.isEmpty ? .secondRefused : .firstRefused
        collectObstacles(right, movesTags)
        if left.isTagStorage { collectViews(of: left) }
        if right.isTagStorage { collectViews(of: right) }
        guard obstacles.isEmpty else { return outcome }
        guard copier.exchange(first, second) == .done else { return .firstRefused }
        let (toRight, toLeft) = (states(left, right), states(right, left))
        handOver(toRight, right)
        handOver(toLeft, left)
        if movesTags == .tagged {
            for (source, target) in zip(left.companions, right.companions) {
                let (sourceState, targetState) = (table[source], table[target])
                table[target] = sourceState.handedOver(to: targetState)
                table[source] = targetState.handedOver(to: sourceState)
            }
        }
        moves += 1
        return .done
    }

    func relocated(_ owner: PageOwner, to frame: PageFrame) {
        guard let aliases = directory.pages.owners[Int(owner.object)] else {
            preconditionFailure("a page of nobody has moved")
        }
        aliases.object.pages.relocate(Int(owner.index), to: frame)
        aliases.version += 1
    }

    // MARK: Lines

    /// The lines of a page, and of its tags if those move too, that must not be copied or cached through `phys`.
    private mutating func collectObstacles(_ span: LineSpan, _ use: PageUse) {
        for line in span.lines where isInTheWay(line) { obstacles.append(line) }
        if use == .tagged {
            for line in span.companions where isInTheWay(line) { obstacles.append(line) }
        }
    }

    /// The data whose tags change because tag storage gets other contents, where a view has it.
    private mutating func collectViews(of span: LineSpan) {
        for line in span.companions where table[line].isHeldByView { obstacles.append(line) }
    }

    private func isInTheWay(_ line: Int) -> Bool {
        let state = table[line]
        return state.isBusy || state.isHeldByPhysical
    }

    /// What the lines of `to` are to have of those of `from`. A page of a file has one line in data memory and several
    /// in tag storage, which are held all or not at all.
    private func states(_ from: LineSpan, _ to: LineSpan) -> [LineState] {
        let pages = Int(directory.pages.layout.pageSize / Page.size)
        return (0..<to.count).map { table[from.start + $0 * pages / to.count * (from.count / pages)] }
    }

    private func handOver(_ states: [LineState], _ to: LineSpan) {
        for (line, state) in zip(to.lines, states) { table[line] = state.handedOver(to: table[line]) }
    }

    private func clear(_ span: LineSpan) {
        for line in span.lines { table[line] = LineState.free.handedOver(to: table[line]) }
    }
}

extension CoherenceDirectory {
    /// The lines of a page of the allocator; the companions are those of its tags, or of the data that it has tags of.
    func span(of frame: PageFrame) -> LineSpan {
        let address = pages.layout.address(of: frame)
        guard let run = dram.run(at: address, limit: Int(pages.layout.pageSize)) else {
            preconditionFailure("a page at \(address) is not in memory")
        }
        return table.span(at: address, count: run.count, inRegion: run.region)
    }
}
