import TagMemCore
import TestSupport

@testable import TagMemFS

/// A kernel that does to a coherence directory what Linux does to the daemon, one step at a time.
///
/// It has a page cache for each alias, locks a page while it is being filled, writes dirty pages back when it likes,
/// and recalls pages on a thread of its own, which waits for page locks. What is stored is also stored in `model`; at
/// every step memory and the page caches must agree with that. One thread, and the generator decides everything: a
/// seed repeats a run.
final class SimulatedKernel: @unchecked Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// A page of one alias's file. Its content is kept as the memory that it shows: packed tags for `tags.hex`.
    struct CachePage {
        let kind: AliasKind
        let offset: UInt64
        let footprint: Footprint
        let lines: [Int]
        /// What the page cache holds, nil if nothing.
        var bytes: [UInt8]?
        var isDirty = false
        /// The kernel waits for an answer with the page locked.
        var isLocked = false
        /// Which filling of the page this is.
        var instance = 0
        /// The page behind this one in the file.
        var next: Int?
    }

    struct PageKey: Hashable {
        let kind: AliasKind
        let offset: UInt64
    }

    enum Recaller {
        case asleep, lookingForWork
        /// The next page to give back is at `offset`.
        case recalling(RecallJob, offset: UInt64)
        case returning(RecallJob)
    }

    let dram: DRAM
    let physical: MemoryObject
    let counters = Counters()
    let directory: CoherenceDirectory
    let semaphore = Wakeups()
    var generator: SeededGenerator
    /// Requests at a time; one time in how many a step begins something new; weights of the kinds.
    let maximumRequests: Int
    let weights: [Int]

    var pages: [CachePage] = []
    var pageIndices: [PageKey: Int] = [:]
    /// Which page of which file shows a line to the kernel, -1 for none.
    var cachingPage: [Int]
    var hotLines: [Int] = []
    /// Addresses of data pages that everything happens on, in runs.
    let hotRuns: [Range<UInt64>]

    /// What was last written, for each region.
    var model: [[UInt8]]
    var history = StoreHistory()
    var nextValue: UInt8 = 0
    var nextInstance = 0

    var recaller = Recaller.asleep
    /// Granted and not copied yet.
    var granted: [Request] = []
    /// Not decided yet, in the order in which they were queued.
    var waiting: [Request] = []
    var nextRequest = 0
    var failure: String?
    var trace: [String] = []

    init(_ regions: [MemoryMap.Region], hotPages: [UInt64], _ generator: SeededGenerator) throws {
        var generator = generator
        dram = try DRAM(map: MemoryMap(regions: regions))
        physical = MemoryObject(physical: dram)
        directory = try CoherenceDirectory(
            physical: physical, pages: PageStore(BlockLayout(map: dram.map)), counters: counters,
            wake: { [semaphore] in semaphore.note($0) })
        maximumRequests = Int.random(in: 2...12, using: &generator)
        weights = (0..<Action.allCases.count).map { _ in Int.random(in: 0...10, using: &generator) }
        cachingPage = Array(repeating: -1, count: directory.lineCount)
        model = dram.map.banks.map { Array(repeating: 0, count: Int($0.size)) }
        var runs: [Range<UInt64>] = []
        for page in hotPages {
            if let last = runs.last, last.upperBound == page {
                runs[runs.count - 1] = last.lowerBound..<page + Page.size
            } else {
                runs.append(page..<page + Page.size)
            }
        }
        hotRuns = runs
        self.generator = generator
        makePages(hotPages)
    }

    /// Tags that are used: few, so that they match often.
    static let tags: [UInt8] = [0, 1, 2, 15]

    private func makePages(_ hotPages: [UInt64]) {
        for page in hotPages {
            addPage(.mem, page)
            for tag in Self.tags { addPage(.view(AddressTag(truncating: UInt64(tag))), page) }
            addPage(.tags, Page.start(page / 32))
            addPage(.tagsHex, Page.start(page / 16))
            if let tags = dram.run(at: at(page), limit: 1)?.tagAddress, tags.rawValue < PhysicalAddress.limit
            {
                addPage(.mem, Page.start(tags.rawValue))
            }
        }
        for region in dram.map.regions where region.kind == .tagStorage {
            addPage(.mem, region.start.rawValue)
        }
        var lines = Set<Int>()
        for index in pages.indices {
            let page = pages[index]
            lines.formUnion(page.lines)
            pages[index].next = pageIndices[PageKey(kind: page.kind, offset: page.offset + Page.size)]
        }
        hotLines = lines.sorted()
    }

    private func addPage(_ kind: AliasKind, _ offset: UInt64) {
        let key = PageKey(kind: kind, offset: offset)
        guard pageIndices[key] == nil else { return }
        let footprint = physical.footprint(
            of: kind, at: offset, count: Int(Page.size), directory.map)
        let lines = footprint.spans.indices.flatMap { Array(footprint.spans[$0].lines) }
        // Views and tags of ordinary memory show none of it.
        guard !lines.isEmpty else { return }
        pageIndices[key] = pages.count
        pages.append(CachePage(kind: kind, offset: offset, footprint: footprint, lines: lines))
    }

    // MARK: Steps

    /// Does `count` random things, then lets everything that was begun come to its end.
    func run(steps count: Int) throws {
        for _ in 0..<count {
            try step(beginsNew: generator.oneIn(2))
            if generator.oneIn(32) { try checkAllMemory() }
        }
        try settle()
    }

    /// Begins nothing new until every request is answered. No request may need more steps than what is ahead of it.
    func settle() throws {
        var stepsLeft = 400 + 40 * (waiting.count + granted.count)
        while !(waiting.isEmpty && granted.isEmpty && isRecallerIdle && !hasReady && !directory.hasReadyJobs)
        {
            guard stepsLeft > 0 else { throw fail("not answered after many steps: \(waiting)") }
            stepsLeft -= 1
            guard canProgress else { throw fail("deadlock: nothing can go on, and these wait: \(waiting)") }
            try step(beginsNew: false)
        }
        try checkAllMemory()
    }

    private func step(beginsNew: Bool) throws {
        if beginsNew || !canProgress {
            begin(randomAction())
        } else {
            progress()
        }
        if let failure { throw fail(failure) }
        do {
            try directory.checkInvariants()
        } catch {
            throw fail("\(error)")
        }
        try checkSteady()
    }

    private var hasReady: Bool { directory.look { !$0.ready.isEmpty } }

    var canProgress: Bool { !granted.isEmpty || canRecallerGoOn || hasReady || directory.hasReadyJobs }

    private func progress() {
        var choices: [() -> Void] = granted.indices.map { index in
            { [self] in finish(granted.remove(at: index)) }
        }
        if canRecallerGoOn { for _ in 0..<2 { choices.append { [self] in continueRecall() } } }
        if hasReady { for _ in 0..<2 { choices.append { [self] in directory.runReady(atMost: 1) } } }
        if directory.hasReadyJobs { choices.append { [self] in directory.stepJob() } }
        choices.randomElement(using: &generator)?()
    }

    private func randomAction() -> Action {
        let busy = waiting.count + granted.count >= maximumRequests
        let actions = Action.allCases.filter { !busy || !$0.isRequest }
        var roll = Int.random(
            in: 0..<actions.reduce(1) { $0 + weights[$1.rawValue] }, using: &generator)
        for action in actions {
            roll -= weights[action.rawValue]
            if roll < 0 { return action }
        }
        return actions[0]
    }

    func note(_ text: @autoclosure () -> String) {
        if trace.count >= 80 { trace.removeFirst(40) }
        trace.append(text())
    }

    func fail(_ text: String) -> Failure {
        Failure(description: "\(text)\n  \(trace.suffix(40).joined(separator: "\n  "))")
    }
}

/// The stores of a run, so that a read can be held against every content that memory had while it was under way.
struct StoreHistory {
    struct Store {
        let region: Int
        let offset: Int
        let bytes: [UInt8]
    }

    private(set) var stores: [Store] = []
    private var dropped = 0

    var position: Int { dropped + stores.count }

    mutating func append(_ store: Store) {
        if stores.count == 4096 {
            stores.removeFirst(2048)
            dropped += 2048
        }
        stores.append(store)
    }

    /// Whether a store from `position` on gave the byte at `offset` of a region the value `byte`.
    func mayHave(_ byte: UInt8, region: Int, offset: Int, since position: Int) -> Bool {
        guard position >= dropped else { return true }
        return stores[(position - dropped)...].contains {
            $0.region == region && $0.offset <= offset && offset < $0.offset + $0.bytes.count
                && $0.bytes[offset - $0.offset] == byte
        }
    }
}
