import Glibc
import Synchronization
import TagMemCore
import TestSupport
import Testing

@testable import TagMemFS

/// The directory under threads: those that serve requests and the one that recalls. For ThreadSanitizer as well: what
/// claims protect are plain variables here.
@Suite("CoherenceDirectory, threads", .repeatable) struct CoherenceDirectoryThreadsTests {
    private static let pages = 4
    private static let threads = 4
    private static let operationsEach = 1500

    /// What the threads share.
    @safe
    private final class World: @unchecked Sendable {
        let directory: CoherenceDirectory
        let counters = Counters()
        /// Guarded by the claims on the pages' lines, and by those on the lines of their tags.
        // SAFETY: allocated for `pages` numbers, given up in `deinit`; the tests' claims keep threads apart.
        let values = UnsafeMutablePointer<Int>.allocate(capacity: pages)
        let tagValues = UnsafeMutablePointer<Int>.allocate(capacity: pages)
        let writes = Atomic(0)
        let tagWrites = Atomic(0)
        let failures = Atomic(0)
        let running = Atomic(0)
        let isOver = Atomic(false)

        init() throws {
            let map = try MemoryMap(regions: TestMaps.standard)
            directory = try CoherenceDirectory(
                physical: MemoryObject(physical: try DRAM(map: map)),
                pages: PageStore(BlockLayout(map: map)), counters: counters, wake: { _ in })
            unsafe values.initialize(repeating: 0, count: pages)
            unsafe tagValues.initialize(repeating: 0, count: pages)
        }

        deinit {
            unsafe values.deallocate()
            unsafe tagValues.deallocate()
        }

        /// Recalls as a kernel does that has none of the pages.
        func recall() {
            while !isOver.load(ordering: .acquiring) {
                while let job = directory.nextRecall() { directory.finishRecall(job.lane) }
                usleep(20)
            }
        }

        /// Does what is ready, and jobs.
        func goOn() {
            while !isOver.load(ordering: .acquiring) {
                while directory.stepJob() {}
                directory.runReady()
                usleep(20)
            }
        }
    }

    private final class Operation: DecidedOperation, Completion, @unchecked Sendable {
        let world: World
        let page: Int
        let isDone = Atomic(false)

        init(_ world: World, page: Int) {
            self.world = world
            self.page = page
        }

        func run(_ error: FileError?) {
            if error != nil { world.failures.add(1, ordering: .relaxed) }
            isDone.store(true, ordering: .releasing)
        }

        func run(_ grant: Decided) {
            defer { isDone.store(true, ordering: .releasing) }
            guard case .granted(let access) = grant else {
                world.failures.add(1, ordering: .relaxed)
                return
            }
            let isTags = access.footprint.spans[0].isTagStorage
            switch (access.purpose, isTags) {
            case (.write, false):
                unsafe world.values[page] += 1
                world.writes.add(1, ordering: .relaxed)
            case (.write, true):
                unsafe world.tagValues[page] += 1
                world.tagWrites.add(1, ordering: .relaxed)
            default: break
            }
            world.directory.end(access)
        }
    }

    @Test("claims keep threads apart, and every operation is answered")
    func threads() throws {
        let world = try World()
        try withSeed { generator in
            startThread("recalls") { world.recall() }
            startThread("others") { world.goOn() }
            for number in 0..<Self.threads {
                let seed = generator.next()
                world.running.add(1, ordering: .relaxed)
                startThread("thread \(number)") {
                    Self.work(world, SeededGenerator(seed: seed))
                    world.running.subtract(1, ordering: .releasing)
                }
            }
            var milliseconds = 0
            while world.running.load(ordering: .acquiring) > 0 {
                usleep(1000)
                milliseconds += 1
                if milliseconds > 60_000 {
                    Issue.record("operations are not answered")
                    return
                }
            }
            let last = Operation(world, page: 0)
            world.directory.afterRecalls(last)
            while !last.isDone.load(ordering: .acquiring) { usleep(100) }
            try world.directory.checkInvariants()
            world.isOver.store(true, ordering: .releasing)
        }
        #expect(world.failures.load(ordering: .relaxed) == 0)
        #expect(
            (0..<Self.pages).reduce(0) { unsafe $0 + world.values[$1] }
                == world.writes.load(ordering: .relaxed))
        #expect(
            (0..<Self.pages).reduce(0) { unsafe $0 + world.tagValues[$1] }
                == world.tagWrites.load(ordering: .relaxed))
        #expect(world.directory.withObject(.physical) { $0.checkedAccesses } == 0)
        for line in 0..<world.directory.lineCount {
            let state = world.directory.line(line)
            #expect(!state.isBusy && !state.isWanted && !state.isAwaited)
        }
        #expect(world.counters[.requestsQueued] > 0)
    }

    private static func work(_ world: World, _ generator: SeededGenerator) {
        var generator = generator
        let view = AliasKind.view(AddressTag(truncating: 0))
        for _ in 0..<operationsEach {
            let page = Int.random(in: 0..<pages, using: &generator)
            let address = 0x20000 + UInt64(page) * Page.size
            let operation: Operation
            switch Int.random(in: 0..<12, using: &generator) {
            case 0:
                operation = Operation(world, page: page)
                world.directory.changeMode(
                    of: .physical, to: TagCheckMode.allCases[Int(generator.bits(2))], then: operation)
            case 1:
                operation = Operation(world, page: page)
                world.directory.afterRecalls(operation)
            case 2:
                world.directory.recallViews(of: [page])
                continue
            case 3:
                let kind = generator.oneIn(2) ? AliasKind.mem : view
                _ = world.directory.opened(Alias(object: .physical, kind: kind), isWritable: true)
                _ = world.directory.closed(Alias(object: .physical, kind: kind), isWritable: true)
                continue
            case 4, 5: operation = begin(world, .write, .tags, at: address / 32, 128, page)
            case 6, 7:
                operation = begin(world, .write, generator.oneIn(2) ? .mem : view, at: address, 64, page)
            case 8: operation = begin(world, .read, generator.oneIn(2) ? .mem : view, at: address, 64, page)
            default:
                operation = begin(
                    world, .fill(pages: 1), generator.oneIn(2) ? .mem : view, at: address, 4096, page)
            }
            while !operation.isDone.load(ordering: .acquiring) { usleep(10) }
        }
    }

    private static func begin(
        _ world: World, _ purpose: MemoryAccess.Purpose, _ kind: AliasKind, at offset: UInt64, _ count: Int,
        _ page: Int
    ) -> Operation {
        let tag: AddressTag? = if case .view(let own) = kind { own } else { nil }
        let access = MemoryAccess(
            purpose, Alias(object: .physical, kind: kind), at: offset, count: count, tag: tag)
        let operation = Operation(world, page: page)
        switch world.directory.begin(access) as Begun {
        case .decided(let grant): operation.run(grant)
        case .queued(let ticket): world.directory.wait(ticket, operation)
        }
        return operation
    }
}
