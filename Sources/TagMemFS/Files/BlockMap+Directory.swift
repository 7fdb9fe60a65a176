import TagMemCore

extension BlockMap {
    /// Blocks that are looked at under one hold of the lock.
    private static let blocksAtOnce = 4096

    /// The blocks as they are now, more or less: the lock is let go in between.
    init(_ directory: CoherenceDirectory) {
        let layout = directory.layout
        let used = directory.withPages { $0.allocator.blocksEverUsed }
        self.init(layout)
        for first in stride(from: layout.tagBlocks.lowerBound, to: used, by: Self.blocksAtOnce) {
            directory.withPages { pages in
                for index in first..<min(first + Self.blocksAtOnce, used) {
                    add(pages.allocator.info(of: BlockIndex(UInt32(index))))
                }
            }
        }
    }

    var text: String { String(decoding: draw(), as: UTF8.self) }
}
