// What the allocator's tables take, of the memory that they describe.
import TagMemCore

enum Metadata {
    static func run(_ sizes: [(name: String, bytes: Int)]) throws {
        printHeading(
            "Tables once every block was used, reverse map included; goal 16 bytes a page and 0.4 % of DRAM:",
            ["memory", "bytes a page", "of DRAM", "with the file system's own list of pages", "of DRAM"])
        for (name, bytes) in sizes {
            let allocator = try PageAllocator(BlockLayout(map: memoryMap(bytes: bytes)))
            let page = Double(allocator.metadataBytes) / Double(allocator.totalPages)
            func share(_ bytes: Double) -> String { "\(number(bytes / 4096 * 100, digits: 2)) %" }
            printRow([
                name, number(page, digits: 2), share(page), number(page + 4, digits: 2), share(page + 4),
            ])
        }
    }
}
