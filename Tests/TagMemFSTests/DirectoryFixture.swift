import TagMemCore
import Testing

@testable import TagMemFS

/// A coherence directory on one Tag Block, its tags right behind, and what it decides.
final class DirectoryFixture {
    /// An access or a change that was begun, and how often and what the directory decided.
    final class Operation: DecidedOperation, Completion, @unchecked Sendable {
        private(set) var grants: [Decided] = []
        /// Of changes: nil for success.
        private(set) var ends: [FileError?] = []

        func run(_ grant: Decided) { grants.append(grant) }
        func run(_ error: FileError?) { ends.append(error) }

        /// The access as it was granted.
        var access: MemoryAccess? {
            if case .granted(let access) = grants.first { access } else { nil }
        }
        var count: Int { grants.count + ends.count }
        var isWaiting: Bool { count == 0 }
        var isGranted: Bool { count == 1 && (access != nil || ends == [nil]) }
        var mismatch: PhysicalAddress? {
            if case .mismatch(_, let address) = grants.first { address } else { nil }
        }
        var error: FileError? {
            if case .failed(let error) = grants.first { error } else { ends.first ?? nil }
        }
    }

    let dram: DRAM
    let counters = Counters()
    let wakeups = Wakeups()
    let directory: CoherenceDirectory

    init(_ regions: [MemoryMap.Region] = TestMaps.standard) throws {
        dram = try DRAM(map: MemoryMap(regions: regions))
        directory = try CoherenceDirectory(
            physical: MemoryObject(physical: dram), pages: PageStore(BlockLayout(map: dram.map)),
            counters: counters, wake: { [wakeups] in wakeups.note($0) })
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

    /// Begins an access to `count` bytes of an alias's file; pages are whole ones for what goes through the cache.
    func begin(_ purpose: MemoryAccess.Purpose, _ kind: AliasKind, page: Int, count: Int? = nil) -> Operation
    {
        var start = offset(page, kind)
        var length = count ?? 1
        switch purpose {
        case .fill(let pages):
            start = Page.start(start)
            length = pages * Int(Page.size)
        case .cachedWrite:
            start = Page.start(start)
            length = Int(Page.size)
        case .read, .write, .writeback, .instruction: break
        }
        return begin(purpose, kind, at: start, count: length)
    }

    func begin(_ purpose: MemoryAccess.Purpose, _ kind: AliasKind, at offset: UInt64, count: Int) -> Operation
    {
        let tag: AddressTag? = if case .view(let own) = kind { own } else { nil }
        return directory.begin(
            MemoryAccess(
                purpose, Alias(object: .physical, kind: kind), at: offset, count: count, tag: tag))
    }

    func end(_ operation: Operation) throws {
        directory.end(try #require(operation.access))
        try goOn()
    }

    /// Lets everything go on that can.
    func goOn() throws {
        try directory.goOn()
    }

    /// Fills a page and answers.
    func fill(_ kind: AliasKind, page: Int) throws {
        let operation = begin(.fill(pages: 1), kind, page: page)
        try #require(operation.isGranted)
        try end(operation)
    }

    func changeMode(to mode: TagCheckMode) throws -> Operation {
        let operation = Operation()
        directory.changeMode(of: .physical, to: mode, then: operation)
        try goOn()
        return operation
    }

    var mode: TagCheckMode { directory.mode(of: .physical) }

    func afterRecalls() throws -> Operation {
        let operation = Operation()
        directory.afterRecalls(operation)
        try goOn()
        return operation
    }

    /// Does all recalls as a kernel does that has none of the pages. Returns how many there were.
    @discardableResult
    func recallAll() throws -> Int {
        var count = 0
        while let job = directory.nextRecall() {
            directory.finishRecall(job.lane)
            try goOn()
            count += 1
        }
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
        try goOn()
    }

    func open(_ kind: AliasKind) {
        _ = directory.opened(Alias(object: .physical, kind: kind), isWritable: true)
    }
    func close(_ kind: AliasKind) {
        _ = directory.closed(Alias(object: .physical, kind: kind), isWritable: true)
    }

    func setTags(_ tag: UInt8, page: Int) {
        dram.fillTags(
            AllocationTag(truncating: UInt64(tag)), at: at(Self.base + UInt64(page) * Page.size), count: 4096)
    }
}

/// What the directory says to an access, with the access as it then is.
enum Decided {
    case granted(MemoryAccess)
    case mismatch(MemoryAccess, at: PhysicalAddress?)
    case endOfFile
    case failed(FileError)

    init(_ grant: Grant, _ access: MemoryAccess) {
        switch grant {
        case .granted: self = .granted(access)
        case .mismatch(let address): self = .mismatch(access, at: address)
        case .endOfFile: self = .endOfFile
        case .failed(let error): self = .failed(error)
        }
    }
}

protocol DecidedOperation: DeferredOperation {
    func run(_ decided: Decided)
}

extension DecidedOperation {
    func run(_ grant: Grant, _ access: MemoryAccess) { run(Decided(grant, access)) }
}

enum Begun {
    case decided(Decided)
    case queued(WaitTicket)
}

extension CoherenceDirectory {
    func begin(_ access: MemoryAccess) -> Begun {
        var access = access
        switch begin(&access) {
        case .decided(let grant): return .decided(Decided(grant, access))
        case .queued(let ticket): return .queued(ticket)
        }
    }

    /// Begins an access, and lets it go on as far as it comes.
    func begin(_ access: MemoryAccess) -> DirectoryFixture.Operation {
        let operation = DirectoryFixture.Operation()
        switch begin(access) as Begun {
        case .decided(let grant): operation.run(grant)
        case .queued(let ticket): wait(ticket, operation)
        }
        runReady()
        return operation
    }

    /// Does what the threads beside those that serve requests and those that recall would do.
    func goOn() throws {
        var isGoingOn = true
        while isGoingOn {
            isGoingOn = stepJob()
            while let notice = nextNotice() {
                isGoingOn = true
                switch notice {
                case .done(let end, let error): tell(end, error)
                case .retrieve(_, _, let body): body(nil)
                case .call(let body): body()
                case .attributes: attributesAreTold()
                case .size, .drop: break
                }
            }
            runReady()
        }
        try checkInvariants()
    }

    func line(_ number: Int) -> LineState { look { $0.lines[number] } }
    var lineCount: Int { map.lineCount }
}

extension MemoryAccess: CustomStringConvertible {
    /// For the traces of failed tests.
    public var description: String {
        "\(purpose) \(alias.kind.map { "\($0)" } ?? "checked") 0x\(String(offset, radix: 16))+\(requested)"
    }
}

/// How often threads were told of work.
final class Wakeups: @unchecked Sendable {
    /// Recalls that nobody has begun to do yet.
    var count = 0

    func note(_ work: Work) { if work.contains(.recallFree) { count += 1 } }
    func consume() { count -= 1 }
}
