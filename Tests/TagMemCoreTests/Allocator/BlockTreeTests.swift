import TestSupport
import Testing

@testable import TagMemCore

@Suite("Tree of bitmaps", .repeatable) struct BlockTreeTests {
    @Test("a tree is what sets are", arguments: [1, 64, 65, 4096, 4097, 300_000])
    func tree(_ blocks: Int) throws {
        try withSeed { generator in
            let tree = try BlockTree(blocks: blocks)
            var sets: [Set<Int>] = Array(repeating: [], count: 3)
            let names = [0, 7, 31]
            // Around word boundaries, at both ends, and anywhere: sets of a few, so that words turn empty.
            let candidates =
                (0..<40).map { _ in Int.random(in: 0..<blocks, using: &generator) }
                + [0, blocks - 1, min(63, blocks - 1), min(64, blocks - 1), min(4096, blocks - 1)]
            for _ in 0..<3000 {
                let index = Int.random(in: 0..<3, using: &generator)
                let block = candidates[Int.random(in: 0..<candidates.count, using: &generator)]
                if generator.oneIn(2) {
                    tree.insert(block, into: names[index])
                    sets[index].insert(block)
                } else {
                    let isEmpty = tree.remove(block, from: names[index])
                    sets[index].remove(block)
                    if isEmpty { try #require(sets[index].isEmpty) }
                }
                try #require(tree.contains(block, in: names[index]) == sets[index].contains(block))
                let start = Int.random(in: 0..<blocks, using: &generator)
                let next = sets[index].filter { $0 >= start }.min()
                try #require(tree.next(in: names[index], from: start) == next)
                try #require(tree.next(in: names[index], from: 0) == sets[index].min())
            }
            #expect(tree.next(in: 1, from: 0) == nil)
        }
    }
}
