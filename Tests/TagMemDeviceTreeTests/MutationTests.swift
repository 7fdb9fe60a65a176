import TagMemCore
import TestSupport
import Testing

@testable import TagMemDeviceTree

/// Blobs with a few wrong bytes: whatever they are, they are refused in one line, or describe a machine that can be
/// written and read again. `make fuzz` does the same for longer.
@Suite("Device trees with wrong bytes", .repeatable) struct MutationTests {
    private static let interesting: [UInt8] = [0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0xfe, 0xff]

    private static func mutate(_ blob: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var blob = blob
        for _ in 0..<Int.random(in: 1...6, using: &generator) where !blob.isEmpty {
            let index = Int.random(in: 0..<blob.count, using: &generator)
            switch generator.next(upperBound: 8 as UInt64) {
            case 0: blob[index] ^= 1 << UInt8(generator.bits(3))
            case 1: blob[index] = UInt8(generator.bits(8))
            case 2, 3: blob[index] = interesting[Int.random(in: 0..<interesting.count, using: &generator)]
            case 4:
                // A word.
                for offset in 0..<4 where index & ~3 + offset < blob.count {
                    blob[index & ~3 + offset] = UInt8(generator.bits(generator.oneIn(2) ? 8 : 1))
                }
            case 5:
                // Another part of it.
                let other = Int.random(in: 0..<blob.count, using: &generator)
                for offset in 0..<min(16, blob.count - max(index, other)) {
                    blob[index + offset] = blob[other + offset]
                }
            case 6: blob.removeSubrange(index..<min(blob.count, index + Int(generator.bits(2)) * 4))
            default: blob.removeLast(min(blob.count, Int(generator.bits(3))))
            }
        }
        return blob
    }

    @Test("are refused in one line, or are a machine", .timeLimit(.minutes(2))) func mutations() throws {
        try withSeed { generator in
            var accepted = 0
            for round in 0..<6000 {
                let map = try Maps.any(&generator)
                let dialect = DeviceTreeDialect.allCases[round % 3]
                let tree = try DeviceTree(describing: map, in: dialect)
                let blob = Self.mutate(
                    round % 20 == 0 ? try GoldenTreeTests.blob() : tree.flattened(), &generator)
                do throws(DeviceTreeError) {
                    let machine = try MachineDescription(blob: blob)
                    accepted += 1
                    guard let written = try? DeviceTree(describing: machine.map, in: dialect) else {
                        continue
                    }
                    #expect(try MachineDescription(blob: written.flattened()).map == machine.map)
                } catch {
                    let text = error.description
                    #expect(!text.isEmpty && text.count < 1000 && text.allSatisfy { !$0.isNewline })
                    if case .map(let problem) = error.problem { Issue.record("no node is named: \(problem)") }
                }
            }
            // Many mutations change nothing that matters.
            #expect(accepted > 100 && accepted < 5900)
        }
    }
}
