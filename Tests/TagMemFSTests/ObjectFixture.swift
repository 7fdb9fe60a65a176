import TagMemCore
import Testing

@testable import TagMemFS

/// Memory objects on a few Tag Blocks, and what the directory and the jobs do with them.
final class ObjectFixture {
    /// An access or a change that was begun, and what came of it.
    final class Operation: DecidedOperation, Completion, @unchecked Sendable {
        /// How it ended, each time that it was run.
        enum Outcome {
            case decided(Decided)
            case done(FileError?)
        }

        private(set) var outcomes: [Outcome] = []

        func run(_ grant: Decided) { outcomes.append(.decided(grant)) }
        func run(_ error: FileError?) { outcomes.append(.done(error)) }

        var isWaiting: Bool { outcomes.isEmpty }
        var isGranted: Bool {
            switch outcomes.first {
            case .decided(.granted), .done(nil): outcomes.count == 1
            default: false
            }
        }
        var access: MemoryAccess? {
            if case .decided(.granted(let access)) = outcomes.first { access } else { nil }
        }
        var error: FileError? {
            switch outcomes.first {
            case .decided(.failed(let error)): error
            case .done(let error): error
            default: nil
            }
        }
    }

    let dram: DRAM
    let directory: CoherenceDirectory
    let counters = Counters()
    /// What was said to the kernel.
    private(set) var said: [Notice] = []
    private var nextNumber: UInt64 = 2

    init(blocks: UInt64 = 2, pageSize: Int = 4096, blockSize: Int = 1) throws {
        let size = blocks * 32 * UInt64(pageSize * blockSize)
        dram = try DRAM(
            map: MemoryMap(regions: [
                .init(start: at(0), size: size, kind: .data(tagBase: at(size))),
                .init(start: at(size), size: size / 32, kind: .tagStorage),
            ]))
        let layout = try BlockLayout(map: dram.map, pageSize: pageSize, blockSize: blockSize)
        directory = try CoherenceDirectory(
            physical: MemoryObject(physical: dram), pages: PageStore(layout), counters: counters,
            wake: { _ in })
    }

    static func view(_ tag: UInt64) -> AliasKind { .view(AddressTag(truncating: tag)) }

    var pageSize: UInt64 { directory.layout.pageSize }
    var total: Int { directory.withPages { $0.allocator.totalPages } }
    var used: Int { directory.withPages { $0.allocator.untaggedPages + $0.allocator.taggedPages } }

    // MARK: Objects

    /// An object of `pages` pages.
    func make(_ use: PageUse, pages: Int = 0) throws -> ObjectID {
        let number = nextNumber
        nextNumber += 1
        let object = try #require(directory.addObject(use, name: "object \(number)", number: number))
        if pages > 0 { #expect(try resize(object, pages: pages).isGranted) }
        return object
    }

    func memory(of object: ObjectID) -> MemoryObject { record(object) { $0.memory } }

    func record<Result>(_ object: ObjectID, _ body: (inout ObjectRecord) -> Result) -> Result {
        directory.look { body(&$0.objects[object]) }
    }

    func resize(_ object: ObjectID, pages: Int) throws -> Operation {
        try resize(object, to: UInt64(pages) * pageSize)
    }

    func resize(_ object: ObjectID, to size: UInt64) throws -> Operation {
        try change { directory.resize(object, to: size, then: $0) }
    }

    /// Begins a change and does of it what can be done now.
    func change(_ body: (Operation) -> Void) throws -> Operation {
        let operation = Operation()
        body(operation)
        try goOn()
        return operation
    }

    /// Lets everything go on that can: jobs, what is ready, and what is to be said.
    func goOn() throws {
        repeat {
            while directory.stepJob() { try directory.checkInvariants() }
            directory.runReady()
        } while sayNext() || directory.hasReadyJobs
        try directory.checkInvariants()
    }

    private func sayNext() -> Bool {
        guard let notice = directory.nextNotice() else { return false }
        said.append(notice)
        switch notice {
        case .size, .drop, .call: break
        case .attributes: directory.attributesAreTold()
        case .retrieve(_, _, let body): body(nil)
        case .done(let end, let error): directory.tell(end, error)
        }
        return true
    }

    // MARK: Requests

    /// Begins an operation on an alias's file.
    func begin(
        _ purpose: MemoryAccess.Purpose, _ kind: AliasKind, of object: ObjectID, at offset: UInt64,
        count: Int = 1
    ) -> Operation {
        var count = count
        if case .fill(let pages) = purpose { count = pages * 4096 }
        let tag: AddressTag? = if case .view(let tag) = kind { tag } else { nil }
        let operation = Operation()
        let access = MemoryAccess(
            purpose, Alias(object: object, kind: kind), at: offset, count: count, tag: tag)
        switch directory.begin(access) as Begun {
        case .decided(let grant): operation.run(grant)
        case .queued(let ticket): directory.wait(ticket, operation)
        }
        return operation
    }

    func end(_ operation: Operation) throws {
        directory.end(try #require(operation.access))
        try goOn()
    }

    func fill(_ kind: AliasKind, of object: ObjectID, at offset: UInt64) throws {
        let operation = begin(.fill(pages: 1), kind, of: object, at: offset)
        try #require(operation.isGranted)
        try end(operation)
    }

    /// Does all recalls of a lane as a kernel does that has none of the pages. Returns how many there were.
    @discardableResult
    func recallAll(_ lane: RecallLane = .free) throws -> Int {
        var count = 0
        while directory.nextRecall(lane) != nil {
            directory.finishRecall(lane)
            try goOn()
            count += 1
        }
        return count
    }

    /// What the kernel writes back of a page: `byte` everywhere.
    func writeBack(_ byte: UInt8, _ kind: AliasKind, of object: ObjectID, at offset: UInt64) throws {
        let access = unsafe Array(repeating: byte, count: 4096).withUnsafeBytes {
            unsafe directory.beginWriteback(Alias(object: object, kind: kind), at: offset, $0)
        }
        for index in access.footprint.pieces.indices {
            if case .memory(let address, let count) = access.footprint.pieces[index] {
                set(address, count, byte)
            }
        }
        directory.end(access)
        try goOn()
    }

    // MARK: Memory

    func line(_ number: Int) -> LineState { directory.look { $0.lines[number] } }

    /// The state of the first line of an object's page.
    func line(of object: ObjectID, page: Int) throws -> LineState {
        let address = try address(of: object, page: page)
        return line(directory.map.span(at: address, count: 1, inRegion: 0).start)
    }

    func address(of object: ObjectID, page: Int) throws -> PhysicalAddress {
        let frame = try #require(memory(of: object).pages[page])
        return directory.layout.address(of: frame)
    }

    func set(_ address: PhysicalAddress, _ count: Int, _ byte: UInt8) {
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe Array(repeating: byte, count: count).withUnsafeBytes { unsafe dram.write($0, to: address) }
    }

    func isAll(_ byte: UInt8, _ object: ObjectID, page: Int, _ part: Range<Int>? = nil) throws -> Bool {
        let part = part ?? 0..<Int(pageSize)
        let address = try address(of: object, page: page) + UInt64(part.lowerBound)
        // SAFETY: the buffer is the array's, for the closure's duration.
        return unsafe Array(repeating: byte, count: part.count).withUnsafeBytes {
            unsafe dram.equals($0, at: address)
        }
    }

    func hasTag(_ tag: UInt64, _ object: ObjectID, page: Int) throws -> Bool {
        dram.firstMismatch(
            of: AddressTag(truncating: tag), at: try address(of: object, page: page), count: Int(pageSize))
            == nil
    }

    func setTags(_ tag: UInt64, _ object: ObjectID, page: Int) throws {
        dram.fillTags(
            AllocationTag(truncating: tag), at: try address(of: object, page: page), count: Int(pageSize))
    }
}
