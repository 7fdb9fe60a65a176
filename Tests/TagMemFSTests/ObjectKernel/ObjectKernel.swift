import TagMemCore
import TestSupport

@testable import TagMemFS

/// A kernel with memory objects: what Linux does to the daemon while sizes, holes, uses and places of pages change.
///
/// As `SimulatedKernel`, with page caches by object offset, size changes that hold back the write-backs of `mem` until
/// they are answered, and the steps of jobs one by one among everything else. The model is a byte array and tags for
/// each object; physical memory is checked through whom its pages belong to. One thread, and the generator decides
/// everything: a seed repeats a run.
final class ObjectKernel: @unchecked Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The machine that everything happens on.
    struct Shape {
        var blocks: UInt64 = 2
        var pageSize = 4096
        var blockSize = 1
        var objects = 3
        var pins = false
        var reserve = false
        /// Objects of a few pages that end anywhere, and mostly what has to do with that.
        var ends = false
        /// Whether files go through the page cache.
        var pageCache = false
        /// Whether answers to what reads and writes fail on the way, after the daemon has done what it had to do.
        var losesAnswers = false
    }

    let shape: Shape
    let dram: DRAM
    let counters = Counters()
    let directory: CoherenceDirectory
    let physicalFiles: [File]
    var objects: [Object] = []
    var generator: SeededGenerator
    let weights: [Int]
    let maximumRequests: Int

    var lanes = RecallLane.allCases.map { Lane($0) }
    /// The threads that do one thing after the other.
    var threads: [ThreadWork: Bool] = [
        .ready: false, .jobs: false, .notices: false, .strays: false,
    ]
    let bells = Bells()
    /// What the thread of stray pages drops.
    var stray: StrayPage?
    /// What the thread of notices is saying.
    var notice: Notice?
    /// What the kernel has sent and no thread has taken yet.
    var queue: [Message] = []
    /// Threads that serve requests, and how many of them are at something.
    let servers: Int
    var busyServers = 0
    /// Pages that the kernel has found to be in the file, and will ask for.
    var plannedFills: [(file: File, offset: UInt64)] = []
    var isDraining = false
    /// Accesses that are granted and not copied yet.
    var granted: [Request] = []
    var writebacks: [Writeback] = []
    /// Requests so far.
    var sent: UInt64 = 0
    /// What a thread of a program has still to do that got pages in page cache mode: they are not up to date before.
    var filling: [() -> Void] = []
    /// Requests that a thread has taken and not looked at yet.
    var taken: [Message] = []
    /// All cached writes that are not answered.
    var cachedWrites: [CachedRequest] = []
    /// Requests and changes that were begun and not ended.
    var outstanding: [ObjectIdentifier: String] = [:]
    /// Changes that were answered, for the kernel to go on with. True when it could.
    var answered: [() -> Progress] = []
    var failure: String?
    var trace: [String] = []
    var nextValue: UInt8 = 0
    var nextNumber: UInt64 = 2
    /// Counts grants and fills.
    var clock = 0

    init(_ shape: Shape, _ generator: SeededGenerator) throws {
        var generator = generator
        self.shape = shape
        let size = shape.blocks * UInt64(shape.blockSize) * 32 * UInt64(shape.pageSize)
        let base: UInt64 = 0x20000
        dram = try DRAM(
            map: MemoryMap(regions: [
                .init(start: at(base), size: size, kind: .data(tagBase: at(base + size))),
                .init(start: at(base + size), size: size / 32, kind: .tagStorage),
            ]))
        let layout = try BlockLayout(map: dram.map, pageSize: shape.pageSize, blockSize: shape.blockSize)
        directory = try CoherenceDirectory(
            physical: MemoryObject(physical: dram), pages: PageStore(layout), counters: counters,
            wake: { [bells] work in bells.ring(work) })
        physicalFiles = Self.kinds.map { File(.physical, "phys", $0, nil) }
        // What seldom has anything to do is done seldom.
        servers = Int.random(in: 1...3, using: &generator)
        let rare: Set<Action> = [.compact, .refill, .changeMode, .remove, .create]
        let frequent: Set<Action> = [.storeBehindEnd, .store]
        weights = Action.allCases.map { action in
            if shape.ends, frequent.contains(action) { return Int.random(in: 12...36, using: &generator) }
            if shape.ends, [.create, .resize, .append, .allocate].contains(action) { return 6 }
            let least = action == .create ? 1 : 0
            return Int.random(in: least...(rare.contains(action) || shape.ends ? 3 : 12), using: &generator)
        }
        maximumRequests = Int.random(in: 2...12, using: &generator)
        self.generator = generator
        directory.look { $0.usesPageCache = shape.pageCache }
        for file in physicalFiles { _ = directory.opened(file.alias, isWritable: true) }
        if shape.reserve {
            directory.update { state in
                state.pages.allocator.setReserveWatermark(.tagged, to: 2)
                state.pages.allocator.setReserveWatermark(.untagged, to: 2)
            }
        }
    }

    /// Views that are used: few, so that tags match often.
    static let viewTags: [UInt64] = [0, 1]
    static let kinds: [AliasKind] =
        [.mem, .tags, .tagsHex] + viewTags.map { .view(AddressTag(truncating: $0)) }

    var layout: BlockLayout { directory.layout }
    var pageSize: UInt64 { layout.pageSize }
    var files: [File] { physicalFiles + objects.flatMap { object in object.files } }

    // MARK: Steps

    /// Does `count` random things, then lets everything that was begun come to its end.
    func run(steps count: Int) throws {
        try begin(steps: count)
        try settle()
    }

    func begin(steps count: Int) throws {
        for _ in 0..<count {
            try step(beginsNew: generator.oneIn(shape.ends ? 4 : 2))
            if generator.oneIn(16) { try checkMemory() }
        }
    }

    private func step(beginsNew: Bool) throws {
        if beginsNew {
            begin(randomAction())
        } else {
            progress()
        }
        try check()
    }

    func check() throws {
        if let failure { throw fail(failure) }
        do {
            try directory.checkInvariants()
        } catch {
            throw fail("\(error)")
        }
    }

    /// Begins nothing new until everything is answered and at rest.
    func settle() throws {
        var left = 4000 + 400 * outstanding.count
        while !isAtRest {
            left -= 1
            guard left > 0 else { throw fail("not at rest after many steps: \(outstanding.values)") }
            guard progress() else {
                throw fail("deadlock: nothing can go on, and these wait: \(whatWaits)")
            }
            try check()
        }
        guard outstanding.isEmpty else { throw fail("forgotten: \(outstanding.values)") }
        try checkMemory()
        try checkRest()
    }

    /// The device is unmounted while things are under way: everything is answered, once.
    func unmount() throws {
        isDraining = true
        directory.drain()
        // Pages stay where they are, and nobody hears that they are gone.
        for object in objects where object.isRemoved { outstanding[ObjectIdentifier(object)] = nil }
        var left = 4000 + 400 * outstanding.count
        while !isAtRest {
            left -= 1
            guard left > 0, progress() else {
                throw fail("not answered while draining: \(outstanding.values)")
            }
            try check()
        }
        guard outstanding.isEmpty else { throw fail("forgotten while draining: \(outstanding.values)") }
    }

    private var isAtRest: Bool {
        outstanding.isEmpty && granted.isEmpty && writebacks.isEmpty && answered.isEmpty && taken.isEmpty
            && filling.isEmpty && queue.isEmpty && plannedFills.isEmpty && areThreadsIdle
            && lanes.allSatisfy { isIdle($0) }
    }

    private var whatWaits: String {
        let pages = files.flatMap { file in
            file.pages.filter { $0.value.isLocked || $0.value.isWriting }.map { "\(file) \($0.key)" }
        }
        return """
            \(outstanding.values), granted \(granted), \(writebacks.count) write-backs, \(answered.count) changes, \
            \(queue.count) requests, \(taken.count) taken, \(plannedFills.map { "\($0.file) \($0.offset)" }), \
            recalls \(lanes.map { "\($0.state)" }), \(busyServers) of \(servers) busy, locked \(pages)
            """
    }

    /// Lets one of those that can go on do so. False if none can.
    @discardableResult
    func progress() -> Bool {
        var choices: [() -> Bool] = []
        for request in granted {
            choices.append {
                self.finish(request); return true
            }
        }
        for writeback in writebacks {
            choices.append {
                self.finish(writeback); return true
            }
        }
        for index in filling.indices {
            choices.append {
                self.filling.remove(at: index)(); return true
            }
        }
        for index in taken.indices {
            choices.append {
                self.begin(self.taken.remove(at: index)); return true
            }
        }
        for change in answered.indices { choices.append { self.finishChange(change) } }
        for _ in 0..<servers + 1 { choices.append { self.serve() } }
        choices.append { self.beginPlannedFill() }
        for lane in lanes { for _ in 0..<2 { choices.append { self.goOn(lane) } } }
        for _ in 0..<3 { choices.append { self.goOn(.jobs) } }
        for _ in 0..<2 { choices.append { self.goOn(.ready) } }
        choices.append { self.goOn(.notices) }
        choices.append { self.goOn(.strays) }
        choices.shuffle(using: &generator)
        return choices.contains { $0() }
    }

    private func finishChange(_ index: Int) -> Bool {
        let progress = answered[index]()
        if progress == .done { answered.remove(at: index) }
        return progress != .waiting
    }

    private func randomAction() -> Action {
        let isBusy = outstanding.count >= maximumRequests
        let actions = Action.allCases.filter { !isBusy || !$0.isRequest }
        var roll = Int.random(
            in: 0..<actions.reduce(1) { $0 + weights[$1.rawValue] }, using: &generator)
        for action in actions {
            roll -= weights[action.rawValue]
            if roll < 0 { return action }
        }
        return .store
    }

    func note(_ text: @autoclosure () -> String) {
        if trace.count >= 160 { trace.removeFirst(80) }
        trace.append(text())
    }

    func fail(_ text: String) -> Failure {
        Failure(description: "\(text)\n  \(trace.suffix(70).joined(separator: "\n  "))")
    }
}
