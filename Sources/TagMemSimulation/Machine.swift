public import TagMemCore

/// A machine as a workload sees it: pages to allocate and free, one an event, and how much there is.
///
/// After each event background compaction may move pages, and the state is measured. The budget is
/// `backgroundPercent` moves for 100 events. What is not used is kept, up to 32 moves, so that a long quiet time does
/// not let compaction do everything at once.
public struct Machine: ~Copyable {
    private var allocator: PageAllocator
    private var mover = CountingMover()
    private var meter: Meter
    private let parameters: SimulationParameters
    /// Hundredths of a move that the background may make.
    private var credit = 0
    private static let creditLimit = 32 * 100
    private let progress: (Int) -> Void

    /// What the workload draws from.
    public var random: SeededRandom

    /// - Parameter progress: Called now and then with the number of events so far.
    init(_ parameters: SimulationParameters, progress: @escaping (Int) -> Void) throws(AllocatorError) {
        let layout = try BlockLayout(
            blocks: parameters.blocks, geometry: BlockGeometry(blockSizeInPages: 1))
        allocator = try PageAllocator(layout)
        meter = Meter()
        random = SeededRandom(seed: parameters.seed)
        self.parameters = parameters
        self.progress = progress
    }

    public var blocks: Int { allocator.layout.blocks }
    /// Data Pages and Tag Pages.
    public var totalPages: Int { allocator.totalPages }
    public var untaggedPages: Int { allocator.untaggedPages }
    public var taggedPages: Int { allocator.taggedPages }
    public var usedPages: Int { untaggedPages + taggedPages }

    /// Pages allocated or refused, and freed: the simulation's time.
    public var events: Int { meter.events }

    /// After how many events the workload is to end, and whether it is to end now.
    public var eventsPlanned: Int { parameters.events }
    public var isOver: Bool { events >= eventsPlanned }

    /// An event: a page for the use; nil if there is none.
    public mutating func allocate(_ use: PageUse) -> PageHandle? {
        let movedBefore = mover.pagesMoved
        let handle = mover.newHandle()
        var result: PageHandle?
        do throws(AllocationError) {
            let frame = try allocator.allocate(
                use, for: PageOwner(object: 0, index: handle.index), with: &mover)
            mover.place(handle, frame)
            result = handle
        } catch {
            mover.drop(handle)
        }
        meter.allocation(succeeded: result != nil, pagesMoved: mover.pagesMoved - movedBefore)
        endEvent()
        return result
    }

    /// An event: the page is free, and the handle nobody's.
    public mutating func free(_ handle: PageHandle) {
        allocator.free(mover.frame(of: handle), with: &mover)
        mover.drop(handle)
        endEvent()
    }

    /// The Tag Block in which a page is now, for workloads that play against the allocator.
    public func block(of handle: PageHandle) -> BlockIndex {
        allocator.layout.block(of: mover.frame(of: handle))
    }

    private mutating func endEvent() {
        credit = min(credit + parameters.backgroundPercent, Self.creditLimit)
        if credit >= 100, !allocator.isCompact {
            credit -= 100 * allocator.compactStep(budget: credit / 100, with: &mover)
        }
        meter.sample(
            MachineState(
                reserved: allocator.tagPagesReserved, needed: allocator.tagPagesNeeded,
                untagged: allocator.untaggedPages, tagged: allocator.taggedPages))
        if events % 8192 == 0 { progress(events) }
    }

    /// What was measured.
    consuming func report(of workload: any Workload) -> SimulationReport {
        SimulationReport(
            workload: workload.name, notes: workload.notes, parameters: parameters, meter: meter,
            pagesMoved: mover.pagesMoved)
    }
}

/// Runs a workload on a machine whose memory is all free.
///
/// - Parameter progress: Called now and then with the number of events so far.
/// - Throws: What the workload throws, or `AllocatorError` if the host has no memory for the tables.
public func simulate(
    _ workload: any Workload, _ parameters: SimulationParameters, progress: @escaping (Int) -> Void = { _ in }
) throws -> SimulationReport {
    var machine = try Machine(parameters, progress: progress)
    try workload.run(&machine)
    return machine.report(of: workload)
}
