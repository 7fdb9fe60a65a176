import TagMemCore

/// An adversary that sees where pages are, and makes the worst of it. Round after round:
///
/// 1. Takes all the memory there is as tagged pages.
/// 2. Frees them block by block in turn, one of each, so that all Tag Blocks become sparse together and none becomes
///    free. In the first round one tagged page a block is left, then 2, 4, 8, 16, and 1 again: few of them keep the most
///    tag storage from its use, many make a block expensive to empty.
/// 3. Takes all the memory there is as untagged pages: every reserved Tag Page that could be given back is asked for.
/// 4. Frees one untagged page of each block, and takes all the memory there is as tagged pages: every block has a page
///    free, and hardly a block's Tag Page is.
/// 5. Frees everything.
public struct Fragmentation: Workload {
    public let name = "fragmentation"
    public let summary = "an adversary keeps a few tagged pages in every block"

    public init() {}

    public func run(_ machine: inout Machine) {
        var round = 0
        while !machine.isOver {
            var tagged = PagePool()
            var untagged = PagePool()
            fill(&machine, .tagged, &tagged)
            thin(&machine, &tagged, keeping: 1 << (round % 5))
            fill(&machine, .untagged, &untagged)
            thin(&machine, &untagged, freeing: 1)
            fill(&machine, .tagged, &tagged)
            machine.freeAll(of: &tagged)
            machine.freeAll(of: &untagged)
            round += 1
        }
    }

    private func fill(_ machine: inout Machine, _ use: PageUse, _ pool: inout PagePool) {
        while !machine.isOver, machine.allocate(use, into: &pool) {}
    }

    /// Frees pages of the blocks in turn, one of each: `freeing` of them, and never the last `keeping` ones.
    ///
    /// Where pages are is looked at before, so pages that move meanwhile are counted where they were.
    private func thin(
        _ machine: inout Machine, _ pool: inout PagePool, keeping: Int = 0, freeing: Int = .max
    ) {
        var blocks = [PagePool](repeating: PagePool(), count: machine.blocks)
        while let page = pool.popLast() { blocks[Int(machine.block(of: page).rawValue)].append(page) }
        var freed = 0
        var hasFreed = true
        while hasFreed, freed < freeing {
            hasFreed = false
            for index in blocks.indices where blocks[index].count > keeping && !machine.isOver {
                guard let page = blocks[index].popLast() else { continue }
                machine.free(page)
                hasFreed = true
            }
            freed += 1
        }
        for var block in blocks {
            while let page = block.popLast() { pool.append(page) }
        }
    }
}
