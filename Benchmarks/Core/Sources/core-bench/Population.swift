// An allocator with pages in use, and the numbers of those pages, as a program keeps them.
import TagMemCore

struct Population: ~Copyable {
    /// Uses in a row, over and over.
    let uses: [PageUse]
    var allocator: PageAllocator
    var mover = MetadataOnly()
    /// A page's frame, with `taggedBit`.
    let frames: Table<UInt32>
    /// Pages in use, the first of `frames`.
    private(set) var count = 0
    /// Pages in use when all are.
    let total: Int
    var random = FastRandom()

    private static let taggedBit: UInt32 = 1 << 31

    init(bytes: Int, uses: [PageUse]) throws {
        self.uses = uses
        allocator = try PageAllocator(BlockLayout(map: memoryMap(bytes: bytes)))
        let (blocks, geometry) = (allocator.layout.blocks, allocator.geometry)
        total = uses.contains(.tagged) ? geometry.dataPages * blocks : geometry.pages * blocks
        frames = Table(count: total)
    }

    /// Allocates pages until all are in use.
    mutating func fill() throws {
        while count < total {
            try allocate(at: count, uses[count % uses.count])
            count += 1
        }
    }

    /// Frees pages at random until about `percent` of the memory is in use, and exchanges `churn` random pages.
    mutating func thin(to percent: Int, churn: Int) throws {
        let target = total / 100 * percent
        let (left, before) = (target, count)
        count = 0
        for index in 0..<before {
            let raw = unsafe frames.elements[index]
            if random.next(below: before) < left {
                unsafe frames.elements[count] = raw
                count += 1
            } else {
                allocator.free(PageFrame(rawValue: raw & ~Self.taggedBit), with: &mover)
            }
        }
        for _ in 0..<churn { try exchange(random.next(below: count)) }
    }

    mutating func empty() {
        for index in 0..<count {
            allocator.free(PageFrame(rawValue: unsafe frames.elements[index] & ~Self.taggedBit), with: &mover)
        }
        count = 0
    }

    /// Frees a page and allocates one of the same use.
    @inline(__always)
    mutating func exchange(_ index: Int) throws {
        let raw = unsafe frames.elements[index]
        allocator.free(PageFrame(rawValue: raw & ~Self.taggedBit), with: &mover)
        try allocate(at: index, raw & Self.taggedBit != 0 ? .tagged : .untagged)
    }

    @inline(__always)
    private mutating func allocate(at index: Int, _ use: PageUse) throws {
        let owner = PageOwner(object: 1, index: UInt32(truncatingIfNeeded: index))
        let frame = try allocator.allocate(use, for: owner, with: &mover)
        unsafe frames.elements[index] = frame.rawValue | (use == .tagged ? Self.taggedBit : 0)
    }
}
