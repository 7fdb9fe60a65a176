import TagMemCore

/// The mover of the page allocator: moves pages under mappings and requests, none of which notices.
///
/// A page moves when nobody copies it and no file of `phys` has it cached: those name it by its physical address. The
/// object's own files name it by the object's, so what the kernel has of it stays, dirty or not, and comes back to where
/// the page is then. A page that cannot move now is refused, and the mover gives up: its lines are in `obstacles`, for
/// the job to wait for.
///
/// Made for one step, by `MemoryState.withMover`, which lends it the lines and the objects. Pages are not zeroed and tags
/// not cleared here: that is done before the object shows the page.
struct CoherentMover: PageMover, ~Copyable {
    var lines = LineTable()
    var objects = ObjectTable()
    private let dram: DRAM
    private let map: LineMap
    private let layout: BlockLayout
    private let copier: DRAMPageMover
    /// Lines that are copied at this moment, or cached through `phys`.
    private(set) var obstacles: [Int] = []
    /// Pages moved or exchanged.
    private(set) var moves = 0
    /// Lines whose holder went elsewhere and that somebody waits at.
    private(set) var touched: [Int] = []
    /// Where objects' pages have moved.
    private(set) var relocated: [(object: ObjectID, addresses: Range<UInt64>)] = []

    init(dram: DRAM, map: LineMap, layout: BlockLayout) {
        self.dram = dram
        self.map = map
        self.layout = layout
        copier = DRAMPageMover(dram: dram, layout: layout)
    }

    var hasGivenUp: Bool { !obstacles.isEmpty }

    func zero(_ frame: PageFrame, for use: PageUse) {}

    func clearTags(of frame: PageFrame) {}

    func clean(_ block: BlockIndex, for use: TagPageUse) {}

    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        let (from, to) = (span(of: page.frame), span(of: target))
        collectObstacles(from, page.use)
        collectObstacles(to, page.use)
        if to.isTagStorage { collectViews(of: to) }
        guard obstacles.isEmpty, copier.move(page, to: target) else { return false }
        handOver(states(from, to), to)
        for line in from.lines { set(line, LineState.free.handedOver(to: lines[line])) }
        if page.use == .tagged {
            for (source, target) in zip(from.companions, to.companions) {
                set(target, lines[source].handedOver(to: lines[target]))
                set(source, LineState.free.handedOver(to: lines[source]))
            }
        }
        moves += 1
        return true
    }

    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        let (left, right) = (span(of: first.frame), span(of: second.frame))
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
                let (sourceState, targetState) = (lines[source], lines[target])
                set(target, sourceState.handedOver(to: targetState))
                set(source, targetState.handedOver(to: sourceState))
            }
        }
        moves += 1
        return .done
    }

    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) {
        guard let object = objects.id(inSlot: owner.object) else {
            preconditionFailure("a page of nobody has moved")
        }
        objects[object].memory.pages.relocate(Int(owner.index), to: frame)
        if objects[object].waiting.isEmpty { return }
        let start = UInt64(owner.index) * layout.pageSize
        relocated.append((object, start..<start + layout.pageSize))
    }

    // MARK: Lines

    private func span(of frame: PageFrame) -> LineSpan { map.span(of: frame, dram, layout) }

    private mutating func set(_ line: Int, _ state: LineState) {
        lines[line] = state
        if state.isAwaited { touched.append(line) }
    }

    /// The lines of a page, and of its tags if those move too, that must not be copied or cached through `phys`.
    private mutating func collectObstacles(_ span: LineSpan, _ use: PageUse) {
        for line in span.lines where isInTheWay(line) { obstacles.append(line) }
        if use == .tagged {
            for line in span.companions where isInTheWay(line) { obstacles.append(line) }
        }
    }

    /// The data whose tags change because tag storage gets other contents, where a view has it.
    private mutating func collectViews(of span: LineSpan) {
        for line in span.companions where lines[line].isHeldByView { obstacles.append(line) }
    }

    private func isInTheWay(_ line: Int) -> Bool {
        let state = lines[line]
        return state.isBusy || state.isHeldByPhysical
    }

    /// What the lines of `to` are to have of those of `from`. A page of a file has one line in data memory and several
    /// in tag storage, which are held all or not at all.
    private func states(_ from: LineSpan, _ to: LineSpan) -> [LineState] {
        let pages = Int(layout.pageSize / Page.size)
        return (0..<to.count).map { lines[from.start + $0 * pages / to.count * (from.count / pages)] }
    }

    private mutating func handOver(_ states: [LineState], _ to: LineSpan) {
        for (line, state) in zip(to.lines, states) { set(line, state.handedOver(to: lines[line])) }
    }
}
