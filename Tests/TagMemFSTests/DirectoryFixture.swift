import TagMemCore
import Testing

@testable import TagMemFS

/// A coherence directory on one Tag Block, its tags right behind, and what it decides.
final class DirectoryFixture {
    /// An operation that was begun, and how often and what the directory decided.
    final class Operation: DeferredOperation, @unchecked Sendable {
        let claim: Claim?
        private(set) var grants: [Grant] = []

        init(_ claim: Claim?) { self.claim = claim }

        func run(_ grant: Grant) { grants.append(grant) }

        var isWaiting: Bool { grants.isEmpty }
        var isGranted: Bool {
            if case .granted = grants.first { grants.count == 1 } else { false }
        }
        var mismatch: PhysicalAddress? {
            if case .mismatch(let address, _) = grants.first { address } else { nil }
        }
        var error: FileError? {
            if case .failed(let error) = grants.first { error } else { nil }
        }
    }

    let dram: DRAM
    let physical: ObjectAliases
    let counters = Counters()
    let wakeups = Wakeups()
    let directory: CoherenceDirectory

    init(_ regions: [MemoryMap.Region] = TestMaps.standard) throws {
        dram = try DRAM(map: MemoryMap(regions: regions))
        physical = ObjectAliases(object: MemoryObject(physical: dram), number: 1)
        directory = try CoherenceDirectory(
            physical: physical, pages: PageStore(BlockLayout(map: dram.map)), counters: counters,
            wakeRecaller: { [wakeups] _ in wakeups.post() })
    }

    static let base: UInt64 = 0x20000
    static func view(_ tag: UInt64) -> AliasKind { .view(AddressTag(truncating: tag)) }

    /// The file offset of a data page in an alias's file: the page itself, or the first byte of its tags.
    func offset(_ page: Int, _ kind: AliasKind) -> UInt64 {
        let address = Self.base + UInt64(page) * Page.size
        switch kind {
        case .mem, .view: return address
        case .tags: return address / 32
        case .tagsHex: return address / 16
        }
    }

    /// Begins an operation on `count` bytes of an alias's file; pages are whole ones for what goes through the cache.
    func begin(_ purpose: Claim.Purpose, _ kind: AliasKind, page: Int, count: Int? = nil) -> Operation {
        var start = offset(page, kind)
        var length = count ?? 1
        switch purpose {
        case .fill(let pages):
            start = Page.start(start)
            length = pages * Int(Page.size)
        case .cachedWrite:
            start = Page.start(start)
            length = Int(Page.size)
        case .read, .write, .writeback: break
        }
        var tag: AddressTag?
        if case .view(let own) = kind { tag = own }
        return begin(
            Claim(
                purpose, aliases: physical, kind: kind, checkedTag: tag,
                footprint: physical.footprint(
                    of: kind, at: start, count: length, table: directory.table)))
    }

    func begin(_ claim: Claim) -> Operation {
        let operation = Operation(claim)
        switch directory.begin(claim) {
        case .decided(let grant): operation.run(grant)
        case .queued(let waiter): directory.wait(waiter, operation)
        }
        return operation
    }

    func end(_ operation: Operation) throws {
        directory.end(try #require(operation.claim))
        try directory.checkInvariants()
    }

    /// Fills a page and answers.
    func fill(_ kind: AliasKind, page: Int) throws {
        let operation = begin(.fill(pages: 1), kind, page: page)
        try #require(operation.isGranted)
        try end(operation)
    }

    func changeMode(to mode: TagCheckMode) -> Operation {
        let operation = Operation(nil)
        directory.changeMode(of: physical, to: mode, then: operation)
        return operation
    }

    func afterRecalls() -> Operation {
        let operation = Operation(nil)
        directory.afterRecalls(operation)
        return operation
    }

    /// Does all recalls as a kernel does that has none of the pages. Returns how many there were.
    @discardableResult
    func recallAll() throws -> Int {
        var count = 0
        while let job = directory.nextRecall() {
            directory.finishRecall(job.lane)
            count += 1
        }
        try directory.checkInvariants()
        return count
    }

    func nextRecall(_ kind: AliasKind, page: Int) throws -> RecallJob {
        let job = try #require(directory.nextRecall())
        #expect(job.kind == kind)
        #expect(job.offset == Page.start(offset(page, kind)))
        return job
    }

    func finish(_ job: RecallJob) throws {
        directory.finishRecall(job.lane)
        try directory.checkInvariants()
    }

    func open(_ kind: AliasKind) { directory.countWriter(of: kind, physical, change: 1) }
    func close(_ kind: AliasKind) { directory.countWriter(of: kind, physical, change: -1) }

    func setTags(_ tag: UInt8, page: Int) {
        dram.fillTags(
            AllocationTag(truncating: UInt64(tag)), at: at(Self.base + UInt64(page) * Page.size), count: 4096)
    }
}
