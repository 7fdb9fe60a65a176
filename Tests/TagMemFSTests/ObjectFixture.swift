import TagMemCore
import Testing

@testable import TagMemFS

/// Memory objects on a few Tag Blocks, and what the directory and the jobs do with them.
final class ObjectFixture {
    typealias Operation = DirectoryFixture.Operation

    let dram: DRAM
    let physical: ObjectAliases
    let directory: CoherenceDirectory
    let memory: ObjectMemory
    let counters = Counters()
    private var nextNumber: UInt64 = 2

    /// Jobs that draining has ended stay with their objects, as they do while a device is unmounted.
    deinit { for aliases in directory.pages.owners { aliases?.reshaper = nil } }

    init(blocks: UInt64 = 2, pageSize: Int = 4096, blockSize: Int = 1) throws {
        let size = blocks * 32 * UInt64(pageSize * blockSize)
        dram = try DRAM(
            map: MemoryMap(regions: [
                .init(start: at(0), size: size, kind: .data(tagBase: at(size))),
                .init(start: at(size), size: size / 32, kind: .tagStorage),
            ]))
        physical = ObjectAliases(object: MemoryObject(physical: dram), number: 1)
        let layout = try BlockLayout(map: dram.map, pageSize: pageSize, blockSize: blockSize)
        directory = try CoherenceDirectory(
            physical: physical, pages: PageStore(layout), counters: counters, wakeRecaller: { _ in })
        memory = ObjectMemory(directory)
    }

    var pageSize: UInt64 { directory.pages.layout.pageSize }
    var total: Int { directory.withPages { $0.allocator.totalPages } }
    var used: Int { directory.withPages { $0.allocator.untaggedPages + $0.allocator.taggedPages } }

    // MARK: Objects

    /// An object of `pages` pages.
    func make(_ use: PageUse, pages: Int = 0) throws -> ObjectAliases {
        let number = nextNumber
        nextNumber += 1
        let layout = directory.pages.layout
        let aliases = try #require(
            directory.withPages { store in
                store.addOwner { slot in
                    ObjectAliases(
                        object: MemoryObject(use, name: "object \(number)", dram: dram, layout: layout),
                        number: number, slot: slot)
                }
            })
        if pages > 0 { #expect(try resize(aliases, pages: pages).isGranted) }
        return aliases
    }

    func resize(_ aliases: ObjectAliases, pages: Int) throws -> Operation {
        try resize(aliases, to: UInt64(pages) * pageSize)
    }

    func resize(_ aliases: ObjectAliases, to size: UInt64) throws -> Operation {
        try change { memory.resize(aliases, to: size, then: $0) }
    }

    /// Begins a change and does of it what can be done now.
    func change(_ body: (Operation) -> Void) throws -> Operation {
        let operation = Operation(nil)
        body(operation)
        try goOn()
        return operation
    }

    /// Lets the jobs that can go on do so.
    func goOn() throws {
        while memory.worker.runNext(steps: 64) {}
        try directory.checkInvariants()
    }

    // MARK: Requests

    /// Begins an operation on an alias's file.
    func begin(
        _ purpose: Claim.Purpose, _ kind: AliasKind, of aliases: ObjectAliases, at offset: UInt64,
        count: Int = 1
    ) -> Operation {
        var count = count
        var handsOut = false
        if case .fill(let pages) = purpose {
            count = pages * 4096
            handsOut = true
        }
        let tag: AddressTag? = if case .view(let tag) = kind { tag } else { nil }
        let claim = Claim(
            purpose, aliases: aliases, kind: kind, checkedTag: tag,
            footprint: directory.footprint(
                of: kind, aliases, at: offset, count: count, handsOut: handsOut))
        let operation = Operation(claim)
        switch directory.begin(claim) {
        case .decided(let grant): operation.run(grant)
        case .queued(let waiter): directory.wait(waiter, operation)
        }
        return operation
    }

    func end(_ operation: Operation) throws {
        directory.end(try #require(operation.claim))
        try goOn()
    }

    func fill(_ kind: AliasKind, of aliases: ObjectAliases, at offset: UInt64) throws {
        let operation = begin(.fill(pages: 1), kind, of: aliases, at: offset)
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
    func writeBack(
        _ byte: UInt8, _ kind: AliasKind, of aliases: ObjectAliases, at offset: UInt64
    ) throws {
        let claim = directory.beginWriteback(of: kind, aliases, at: offset, count: 4096)
        for index in claim.footprint.pieces.indices {
            if case .memory(let address, let count) = claim.footprint.pieces[index] {
                set(address, count, byte)
            }
        }
        directory.end(claim)
        try goOn()
    }

    // MARK: Memory

    func address(of aliases: ObjectAliases, page: Int) throws -> PhysicalAddress {
        let frame = try #require(aliases.object.pages[page])
        return directory.pages.layout.address(of: frame)
    }

    func set(_ address: PhysicalAddress, _ count: Int, _ byte: UInt8) {
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe Array(repeating: byte, count: count).withUnsafeBytes { unsafe dram.write($0, to: address) }
    }

    func isAll(_ byte: UInt8, _ aliases: ObjectAliases, page: Int, _ part: Range<Int>? = nil) throws -> Bool {
        let part = part ?? 0..<Int(pageSize)
        let address = try address(of: aliases, page: page) + UInt64(part.lowerBound)
        // SAFETY: the buffer is the array's, for the closure's duration.
        return unsafe Array(repeating: byte, count: part.count).withUnsafeBytes {
            unsafe dram.equals($0, at: address)
        }
    }

    func hasTag(_ tag: UInt64, _ aliases: ObjectAliases, page: Int) throws -> Bool {
        dram.firstMismatch(
            of: AddressTag(truncating: tag), at: try address(of: aliases, page: page), count: Int(pageSize))
            == nil
    }

    func setTags(_ tag: UInt64, _ aliases: ObjectAliases, page: Int) throws {
        dram.fillTags(
            AllocationTag(truncating: tag), at: try address(of: aliases, page: page), count: Int(pageSize))
    }
}
