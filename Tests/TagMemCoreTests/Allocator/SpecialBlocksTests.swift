import TestSupport
import Testing

@testable import TagMemCore

/// Machines with memory that is not whole Tag Blocks: ordinary, reserved, or with tags that have no address.
@Suite("Special blocks", .repeatable) struct SpecialBlocksTests {
    struct Machine: CustomTestStringConvertible {
        let name: String
        let regions: [MemoryMap.Region]
        var reservations: [MemoryMap.Reservation] = []
        /// Pages that there are, Tag Pages among them, and the most tagged ones.
        let pages: Int
        let tagPages: Int
        let mostTagged: Int

        var testDescription: String { name }
        func map() throws -> MemoryMap { try MemoryMap(regions: regions, reservations: reservations) }
    }

    private static func at(_ block: UInt64) -> PhysicalAddress { PhysicalAddress(0x20000 * block) }
    private static let shared: [MemoryMap.Region] = [
        .init(start: at(1), size: 0x60000, kind: .data(tagBase: at(10))),
        .init(start: at(10), size: 0x3000, kind: .tagStorage),
    ]

    static let machines = [
        Machine(
            name: "ordinary", regions: [.init(start: at(1), size: 40 << 12, kind: .ordinary)], pages: 40,
            tagPages: 0,
            mostTagged: 0),
        Machine(
            name: "hidden tags", regions: [.init(start: at(1), size: 0x40000, kind: .dataWithHiddenTags)],
            pages: 64,
            tagPages: 0, mostTagged: 64),
        Machine(
            name: "shared and ordinary",
            regions: shared + [.init(start: at(6), size: 50 << 12, kind: .ordinary)], pages: 99 + 50,
            tagPages: 3,
            mostTagged: 96),
        Machine(
            name: "shared and hidden tags",
            regions: shared + [.init(start: at(6), size: 0x20000, kind: .dataWithHiddenTags)], pages: 99 + 32,
            tagPages: 3, mostTagged: 128),
        Machine(
            name: "all three",
            regions: shared + [
                .init(start: at(6), size: 0x20000, kind: .dataWithHiddenTags),
                .init(start: at(8), size: 10 << 12, kind: .ordinary),
            ], pages: 99 + 32 + 10, tagPages: 3, mostTagged: 128),
        Machine(
            name: "reserved in part", regions: shared,
            reservations: [.init(start: at(1) + 0x2000, size: 0x3000)], pages: 96, tagPages: 3, mostTagged: 93
        ),
    ]

    private func allocator(_ machine: Machine) throws -> PageAllocator {
        try PageAllocator(BlockLayout(map: machine.map()))
    }

    /// Allocates until there are no more. Returns how many there were.
    private func fill(
        _ allocator: inout PageAllocator, _ use: PageUse, _ mover: inout (some PageMover & ~Copyable)
    ) -> [PageFrame] {
        var frames: [PageFrame] = []
        while true {
            do throws(AllocationError) {
                let owner = PageOwner(object: 1, index: UInt32(frames.count))
                frames.append(try allocator.allocate(use, for: owner, with: &mover))
            } catch {
                return frames
            }
        }
    }

    @Test("every page can be had, and none that is not there", arguments: machines)
    func filling(_ machine: Machine) throws {
        var allocator = try allocator(machine)
        try allocator.checkInvariants()
        var mover = DRAMPageMover(dram: try DRAM(map: machine.map()), layout: allocator.layout)
        #expect(allocator.totalPages == machine.pages && allocator.freePages == machine.pages)
        #expect(allocator.totalTagPages == machine.tagPages && allocator.tagPagesReserved == 0)
        #expect(allocator.untaggedInUse == 0 && allocator.tagPagesInUse == 0 && allocator.pinnedInUse == 0)
        #expect(
            allocator.availableUntagged == machine.pages && allocator.availableTagged == machine.mostTagged)
        let untagged = fill(&allocator, .untagged, &mover)
        #expect(untagged.count == machine.pages && Set(untagged).count == untagged.count)
        let addresses = Set(untagged.map { allocator.layout.address(of: $0) })
        let map = try machine.map()
        for address in addresses {
            #expect(map.regions.contains { $0.contains(address) && address + 4096 <= $0.end })
            #expect(!map.reservations.contains { $0.start < address + 4096 && address < $0.end })
        }
        #expect(allocator.untaggedInUse == machine.pages && allocator.availableUntagged == 0)
        try allocator.checkInvariants()
        for frame in untagged { allocator.free(frame, with: &mover) }
        try allocator.checkInvariants()
        #expect(fill(&allocator, .tagged, &mover).count == machine.mostTagged)
        #expect(allocator.availableTagged == 0 && allocator.tagPagesReserved == machine.tagPages)
        try allocator.checkInvariants()
    }

    @Test("allocations succeed exactly where they can, and compaction is frugal", arguments: machines)
    func life(_ machine: Machine) throws {
        try withSeed { generator in
            var allocator = try allocator(machine)
            var mover = DRAMPageMover(dram: try DRAM(map: machine.map()), layout: allocator.layout)
            var pages: [UInt32: (frame: PageFrame, use: PageUse)] = [:]
            var moved: [(PageOwner, PageFrame)] = []
            var next: UInt32 = 0
            let isExact = machine.reservations.isEmpty
            for step in 0..<3000 {
                let use: PageUse = generator.oneIn(2) ? .tagged : .untagged
                let relocations = Relocations()
                mover.onRelocation = { relocations.list.append(($0, $1)) }
                // Mostly full, so that what is left decides.
                if generator.oneIn(3), let key = pages.keys.sorted().randomElement(using: &generator),
                    let page = pages.removeValue(forKey: key)
                {
                    allocator.free(page.frame, with: &mover)
                } else {
                    let available = use == .tagged ? allocator.availableTagged : allocator.availableUntagged
                    do throws(AllocationError) {
                        let frame = try allocator.allocate(
                            use, for: PageOwner(object: 1, index: next), with: &mover)
                        pages[next] = (frame, use)
                        next += 1
                        #expect(available > 0)
                    } catch {
                        #expect(available == 0 || !isExact && error == .immovable(use))
                    }
                }
                if generator.oneIn(50) {
                    allocator.compact(with: &mover)
                    if isExact { #expect(allocator.tagPagesReserved == allocator.tagPagesNeeded) }
                }
                moved = relocations.list
                for (owner, frame) in moved where pages[owner.index] != nil {
                    pages[owner.index]?.frame = frame
                }
                for (key, page) in pages where step % 100 == 0 {
                    #expect(allocator.use(of: page.frame) == page.use)
                    #expect(allocator.page(at: page.frame)?.owner.index == key)
                }
                try allocator.checkInvariants()
            }
        }
    }

    private final class Relocations {
        var list: [(PageOwner, PageFrame)] = []
    }
}
