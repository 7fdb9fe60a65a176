// What a page costs, metadata only: the mover touches no memory. One thread, as all figures here.
//
// For comparison, LLFree in C, a random free and an allocation of 4 KiB frames by one thread, at 10, 50 and 99 % full:
// 77 to 116 ns at 1 GiB; 213, 1455 and 1959 ns at 64 GiB. It keeps neither a reverse map nor tags.
import Glibc
import TagMemCore

/// Moves nothing and zeroes nothing.
struct MetadataOnly: PageMover {
    var relocations = 0
    mutating func zero(_ frame: PageFrame, for use: PageUse) {}
    mutating func clearTags(of frame: PageFrame) {}
    mutating func clean(_ block: BlockIndex, for use: TagPageUse) {}
    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool { true }
    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome { .done }
    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) { relocations += 1 }
}

/// xorshift64*: cheap beside what is measured.
struct FastRandom {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    mutating func next(below limit: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int((state &* 0x2545_f491_4f6c_dd1d).multipliedFullWidth(by: UInt64(limit)).high)
    }
}

enum AllocatorBench {
    static let pairs = 200_000

    /// Of this thread's processor time: what others do on the machine is not counted, save for the caches.
    private static func processorTime() -> Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    static func run(largest: Int) throws {
        print(
            "\n| page allocator | full | random free + allocate | the loop alone | untagged | tagged | table bytes a page |"
        )
        print("| :-- | --: | --: | --: | --: | --: | --: |")
        for (name, gibibytes) in [("1 GiB", 1), ("64 GiB", 64), ("1 TiB", 1024)] where gibibytes <= largest {
            for percent in [10, 50, 99] { try pairs(name, gibibytes << 30, percent) }
        }
        try conversions()
    }

    /// Fills `percent` of the memory, a third of it tagged pages, in random order of ages; then frees a random page
    /// and allocates one of the same use.
    private static func pairs(_ name: String, _ bytes: Int, _ percent: Int) throws {
        let map = try MemoryMap(base: PhysicalAddress(0x4000_0000), size: UInt64(bytes))
        var results: [Double] = []
        var perPage = 0.0
        for uses in [[PageUse.untagged, .untagged, .tagged], [.untagged], [.tagged]] {
            var allocator = try PageAllocator(BlockLayout(map: map))
            var mover = MetadataOnly()
            perPage = Double(allocator.metadataBytes) / Double(allocator.totalPages)
            let total =
                uses.contains(.tagged)
                ? allocator.geometry.dataPages * allocator.layout.blocks : allocator.totalPages
            let count = total / 100 * percent
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: total * 4, alignment: 2 << 20)
            unsafe madvise(memory.baseAddress, memory.count, MADV_HUGEPAGE)
            let frames = unsafe memory.bindMemory(to: PageFrame.self)
            defer { unsafe memory.deallocate() }
            var random = FastRandom()
            // All of it first, then down to `count` at random, so that the free pages are scattered.
            for index in 0..<total {
                unsafe frames[index] = try allocator.allocate(
                    uses[index % uses.count], for: PageOwner(object: 1, index: UInt32(index)), with: &mover)
            }
            for left in stride(from: total, to: count, by: -1) {
                unsafe frames.swapAt(random.next(below: left), left - 1)
                unsafe allocator.free(frames[left - 1], with: &mover)
            }
            var times: [Double] = []
            for _ in 0..<9 {
                let start = processorTime()
                for _ in 0..<pairs {
                    let index = random.next(below: count)
                    let frame = unsafe frames[index]
                    let use = uses.count == 1 ? uses[0] : allocator.use(of: frame) ?? .untagged
                    allocator.free(frame, with: &mover)
                    unsafe frames[index] = try allocator.allocate(
                        use, for: PageOwner(object: 1, index: UInt32(index)), with: &mover)
                }
                times.append(Double(processorTime() - start) / Double(pairs))
            }
            results.append(median(times))
            if uses.count > 1 { unsafe results.append(loop(frames, count, &random)) }
        }
        func text(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
        print(
            "| \(name) | \(percent) % | \(text(results[0])) ns | \(text(results[1])) ns | \(text(results[2])) ns | \(text(results[3])) ns | \(text(perPage)) |"
        )
    }

    /// What the loop costs without the allocator: a random page's number is read and written.
    private static func loop(
        _ frames: UnsafeMutableBufferPointer<PageFrame>, _ count: Int, _ random: inout FastRandom
    ) -> Double {
        var times: [Double] = []
        for _ in 0..<9 {
            let start = processorTime()
            for _ in 0..<pairs {
                let index = random.next(below: count)
                let raw = unsafe frames[index].rawValue
                unsafe frames[index] = PageFrame(rawValue: raw ^ 1)
                random.state ^= UInt64(raw & 1)
            }
            times.append(Double(processorTime() - start) / Double(pairs))
        }
        return median(times)
    }

    /// A free block turns tagged and back, and untagged and back: the Tag Storage Clean's accounting included.
    private static func conversions() throws {
        let map = try MemoryMap(base: PhysicalAddress(0x4000_0000), size: 1 << 30)
        var allocator = try PageAllocator(BlockLayout(map: map))
        var mover = MetadataOnly()
        let owner = PageOwner(object: 1, index: 1)
        let count = 1_000_000
        var times: [Double] = []
        for _ in 0..<5 {
            let start = processorTime()
            for index in 0..<count {
                let use: PageUse = index % 2 == 0 ? .tagged : .untagged
                allocator.free(try allocator.allocate(use, for: owner, with: &mover), with: &mover)
            }
            times.append(Double(processorTime() - start) / Double(count))
        }
        print(
            "\nblock conversion without migration, with its page: \((median(times) * 10).rounded() / 10) ns")
    }
}
