import TagMemCore
import TestSupport
import Testing

@testable import TagMemFS

/// Random interleavings of everything that reaches the directory, against a simulated kernel; see `SimulatedKernel`.
@Suite("CoherenceDirectory, any interleaving", .repeatable) struct CoherenceDirectoryPropertyTests {
    struct World: CustomTestStringConvertible, Sendable {
        let name: String
        let regions: [MemoryMap.Region]
        let hotPages: [UInt64]
        var testDescription: String { name }
    }

    static let worlds = [
        World(name: "two pages", regions: TestMaps.standard, hotPages: [0x20000, 0x21000]),
        World(
            name: "one Tag Block", regions: TestMaps.standard,
            hotPages: [0x20000, 0x21000, 0x22000, 0x2f000, 0x30000]),
        World(
            name: "two regions that touch, their tags crossed", regions: TestMaps.crossed,
            hotPages: [0x5e000, 0x5f000, 0x60000, 0x61000]),
        World(
            name: "scattered memory", regions: TestMaps.scattered,
            hotPages: [0x1f000, 0x20000, 0x60000, 0x100000, 0x120000]),
        World(
            name: "hidden tags and ordinary memory", regions: TestMaps.hidden,
            hotPages: [0x20000, 0x3f000, 0x40000, 0x7f000, 0x80000]),
    ]

    @Test("memory stays coherent, nothing hangs, nothing starves", arguments: worlds)
    func anyInterleaving(_ world: World) throws {
        try withSeed { generator in
            for _ in 0..<12 {
                let kernel = try SimulatedKernel(
                    world.regions, hotPages: world.hotPages, SeededGenerator(seed: generator.next()))
                for _ in 0..<4 { try kernel.run(steps: 200) }
            }
        }
    }
}
