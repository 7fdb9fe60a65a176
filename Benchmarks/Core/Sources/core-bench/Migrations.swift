// Pages that move in emulated DRAM, against a plain memcpy of the same pages from and to the same places in the same
// order: of their contents, and of their contents and tags. Each begins with the caches full of other memory.
import Glibc
import TagMemCore

enum Migrations {
    private static let rounds = 5

    static func run() throws {
        let map = try memoryMap(bytes: 1 << 30)
        let dram = try DRAM(map: map)
        // Committed: what a first touch costs is the kernel's.
        for region in map.regions {
            unsafe memset(dram.pointer(to: region.start, count: Int(region.size)), 1, Int(region.size))
        }
        printHeading(
            "Full compaction of a fragmented 1 GiB device, its pages migrated, against memcpy of the same pages; goal 0.8:",
            [
                "1 GiB full of tagged pages", "pages moved", "time", "pages/s", "tables alone", "memcpy",
                "memcpy / time", "memcpy with tags", "memcpy with tags / time", "Tag Pages recovered",
            ])
        try row("half freed at random", 50, isLent: false, dram)
        try row("90 % freed at random", 10, isLent: false, dram)
        try row("half freed, and all of that lent", 50, isLent: true, dram)
    }

    private static func row(_ name: String, _ percent: Int, isLent: Bool, _ dram: DRAM) throws {
        // The first time is to know what moves where.
        var recorder = Recorder()
        let reserved = try fragmented(dram.map, percent, isLent: isLent, { $0.tagPagesReserved })
        let left = try fragmented(dram.map, percent, isLent: isLent) {
            $0.compact(with: &recorder)
            return $0.tagPagesReserved
        }
        let copier = Copier(dram, recorder.moves)
        let mover = DRAMPageMover(dram: dram, layout: try BlockLayout(map: dram.map))
        var times: [[Double]] = [[], [], [], []]
        for _ in 0..<rounds {
            try times[0].append(
                fragmented(dram.map, percent, isLent: isLent) { allocator in
                    var mover = mover
                    sweep(dram)
                    return time(1) { allocator.compact(with: &mover) }
                })
            for (index, tags) in [(1, false), (2, true)] {
                sweep(dram)
                times[index].append(time(1) { copier.run(tags: tags) })
            }
            try times[3].append(
                fragmented(dram.map, percent, isLent: isLent) { allocator in
                    var mover = MetadataOnly()
                    sweep(dram)
                    return time(1) { allocator.compact(with: &mover) }
                })
        }
        let pages = recorder.moves.reduce(0) { $0 + ($1.isExchange ? 2 : 1) }
        let medians = times.map { median($0) }
        func milliseconds(_ index: Int) -> String { "\(number(medians[index] / 1e6)) ms" }
        printRow([
            name, "\(pages)", milliseconds(0), number(Double(pages) / medians[0] * 1e9, digits: 0),
            milliseconds(3), milliseconds(1), number(ratio(times[1], to: times[0]), digits: 2),
            milliseconds(2),
            number(ratio(times[2], to: times[0]), digits: 2), "\(reserved - left)",
        ])
    }

    /// Brings all of the memory through the caches, so that who comes next finds in them what any other would.
    private static func sweep(_ dram: DRAM) {
        let page = Table<UInt64>(count: 512)
        for region in dram.map.regions {
            let bytes = unsafe dram.pointer(to: region.start, count: Int(region.size))
            for offset in stride(from: 0, to: Int(region.size), by: 4096) {
                unsafe memcpy(page.base, bytes + offset, 4096)
            }
        }
    }

    /// What `body` makes of a device full of tagged pages of which `percent` are left, at random, and of which the
    /// others may be lent.
    private static func fragmented<Result>(
        _ map: MemoryMap, _ percent: Int, isLent: Bool, _ body: (inout PageAllocator) -> Result
    ) throws -> Result {
        var allocator = try PageAllocator(BlockLayout(map: map))
        var mover = MetadataOnly()
        var random = FastRandom()
        var frames: [PageFrame] = []
        while allocator.availableTagged > 0 {
            let owner = PageOwner(object: 1, index: UInt32(frames.count))
            try frames.append(allocator.allocate(.tagged, for: owner, with: &mover))
        }
        for frame in frames where random.next(below: 100) >= percent { allocator.free(frame, with: &mover) }
        for index in 0..<(isLent ? allocator.freePages : 0) {
            let owner = PageOwner(object: 2, index: UInt32(index))
            _ = try allocator.allocate(.untagged, for: owner, with: &mover)
        }
        return body(&allocator)
    }
}

struct Move {
    let from: MovingPage
    let to: PageFrame
    let isExchange: Bool
}

/// Writes down what is to move.
private struct Recorder: PageMover {
    var moves: [Move] = []

    mutating func zero(_ frame: PageFrame, for use: PageUse) {}
    mutating func clearTags(of frame: PageFrame) {}
    mutating func clean(_ block: BlockIndex, for use: TagPageUse) {}
    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) {}

    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        moves.append(Move(from: page, to: target, isExchange: false))
        return true
    }

    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        moves.append(Move(from: first, to: second.frame, isExchange: true))
        return .done
    }
}

/// memcpy of the same pages; an exchange goes through a page that stays in the cache.
@safe
private struct Copier: ~Copyable {
    // SAFETY: pointers into the memory of a `DRAM` that outlives this.
    private let moves:
        [(from: UnsafeMutableRawPointer, to: UnsafeMutableRawPointer, tags: Piece?, isExchange: Bool)]
    private let bounce = Table<UInt64>(count: 512)

    private typealias Piece = (from: UnsafeMutableRawPointer, to: UnsafeMutableRawPointer)

    init(_ dram: DRAM, _ moves: [Move]) {
        do {
            let layout = try BlockLayout(map: dram.map)
            unsafe self.moves = moves.map { move in
                let (from, to) = (layout.address(of: move.from.frame), layout.address(of: move.to))
                let isTagged = move.from.use == .tagged
                return unsafe (
                    dram.pointer(to: from, count: 4096), dram.pointer(to: to, count: 4096),
                    isTagged ? (Self.tags(dram, from), Self.tags(dram, to)) : nil, move.isExchange
                )
            }
        } catch {
            preconditionFailure("\(error)")
        }
    }

    private static func tags(_ dram: DRAM, _ address: PhysicalAddress) -> UnsafeMutableRawPointer {
        for region in dram.map.regions where region.contains(address) {
            guard case .data(let tagBase) = region.kind else { break }
            return unsafe dram.pointer(to: tagBase + (address - region.start) / 32, count: 128)
        }
        preconditionFailure("no tags there")
    }

    func run(tags: Bool) {
        for index in unsafe moves.indices {
            let move = unsafe moves[index]
            if tags, let piece = unsafe move.tags { unsafe memcpy(piece.to, piece.from, 128) }
            if unsafe move.isExchange {
                unsafe memcpy(bounce.base, move.to, 4096)
                unsafe memcpy(move.to, move.from, 4096)
                unsafe memcpy(move.from, bounce.base, 4096)
            } else {
                unsafe memcpy(move.to, move.from, 4096)
            }
        }
    }
}
