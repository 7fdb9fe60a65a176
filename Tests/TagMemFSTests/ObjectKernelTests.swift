import TagMemCore
import TestSupport
import Testing

@testable import TagMemFS

/// Random interleavings of everything that happens to memory objects, against a simulated kernel; see `ObjectKernel`.
@Suite("Memory objects, any interleaving", .repeatable) struct ObjectKernelTests {
    struct World: CustomTestStringConvertible, Sendable {
        let name: String
        let shape: ObjectKernel.Shape
        var testDescription: String { name }
    }

    static let worlds: [World] = [
        World(name: "two Tag Blocks", shape: .init()),
        World(name: "three Tag Blocks, four objects", shape: .init(blocks: 3, objects: 4)),
        World(name: "pages of 16 KiB", shape: .init(pageSize: 16384)),
        World(name: "a block size of two pages", shape: .init(blocks: 2, blockSize: 2)),
        World(name: "pages of 64 KiB", shape: .init(blocks: 1, pageSize: 65536)),
        World(name: "pins", shape: .init(blocks: 3, pins: true)),
        World(name: "a reserve", shape: .init(reserve: true)),
        World(name: "ends of objects", shape: .init(objects: 2, ends: true)),
        World(name: "page cache mode", shape: .init(pageCache: true)),
        World(
            name: "page cache mode, ends of objects",
            shape: .init(objects: 2, ends: true, pageCache: true)),
        World(name: "answers that fail", shape: .init(losesAnswers: true)),
        World(
            name: "page cache mode, answers that fail",
            shape: .init(ends: true, pageCache: true, losesAnswers: true)),
    ]

    @Test("memory stays coherent, nothing hangs, nothing is lost", arguments: worlds)
    func anyInterleaving(_ world: World) throws {
        try withSeed { generator in
            for _ in 0..<2 * soakFactor {
                let kernel = try ObjectKernel(world.shape, SeededGenerator(seed: generator.next()))
                for _ in 0..<3 { try kernel.run(steps: world.shape.ends ? 1000 : 250) }
                try kernel.begin(steps: 60)
                try kernel.unmount()
            }
        }
    }
}
