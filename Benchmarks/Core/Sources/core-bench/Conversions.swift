// A free block turns to tagged or untagged use and back, with its page, the Tag Storage Clean's accounting included.
import TagMemCore

enum Conversions {
    static func run() throws {
        printHeading(
            "A block's conversion without migration: a page allocated in a free block and freed; goal 200 ns:",
            ["block", "to and from"])
        for (name, uses) in [
            ("tagged", [PageUse.tagged, .tagged]), ("untagged", [.untagged, .untagged]),
            ("tagged and untagged in turn, a clean each", [.tagged, .untagged]),
        ] {
            var allocator = try PageAllocator(BlockLayout(map: memoryMap(bytes: 1 << 30)))
            var mover = MetadataOnly()
            let count = 100_000
            let times = try (0..<9).map { _ in
                try time(count) {
                    for index in 0..<count {
                        let owner = PageOwner(object: 1, index: 1)
                        let frame = try allocator.allocate(uses[index & 1], for: owner, with: &mover)
                        allocator.free(frame, with: &mover)
                    }
                }
            }
            printRow([name, nanoseconds(median(times))])
        }
    }
}
