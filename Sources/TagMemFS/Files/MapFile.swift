import TagMemCore

/// `map.svg`: all Tag Blocks by state and occupancy, as a picture.
final class MapFile: TextFile, @unchecked Sendable {
    private let directory: CoherenceDirectory

    init(node: NodeID, _ directory: CoherenceDirectory) {
        self.directory = directory
        super.init(node: node)
    }

    /// Blocks that are looked at under one hold of the lock.
    private static let blocksAtOnce = 4096

    override func makeText() -> String {
        let (blocks, used, geometry) = directory.withPages {
            ($0.layout.tagBlocks, $0.allocator.blocksEverUsed, $0.allocator.geometry)
        }
        var picture = BlockMap(blocks: blocks, geometry: geometry)
        for first in stride(from: blocks.lowerBound, to: used, by: Self.blocksAtOnce) {
            directory.withPages { pages in
                for index in first..<min(first + Self.blocksAtOnce, used) {
                    picture.add(pages.allocator.info(of: BlockIndex(UInt32(index))))
                }
            }
        }
        let address = directory.pages.layout.address(of:) as (BlockIndex) -> PhysicalAddress
        return String(
            decoding: picture.draw(pageSize: directory.pages.layout.pageSize, address: address), as: UTF8.self
        )
    }
}
