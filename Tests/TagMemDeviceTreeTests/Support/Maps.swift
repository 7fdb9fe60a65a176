import TagMemCore
import TestSupport

/// Memory maps that a device tree can describe.
enum Maps {
    typealias Region = MemoryMap.Region
    static let block = MemoryMap.dataBytesPerBlock

    static func at(_ address: UInt64) -> PhysicalAddress { PhysicalAddress(address) }

    static func data(_ start: UInt64, _ size: UInt64, tags: UInt64, node: UInt32? = nil) -> Region {
        Region(start: at(start), size: size, kind: .data(tagBase: at(tags)), numaNode: node)
    }

    static func region(_ kind: Region.Kind, _ start: UInt64, _ size: UInt64, node: UInt32? = nil) -> Region {
        Region(start: at(start), size: size, kind: kind, numaNode: node)
    }

    /// What the QEMU prototype gives: `-m 1G`.
    static func prototype() throws -> MemoryMap {
        try MemoryMap(regions: [
            data(0x4000_0000, 1 << 30, tags: 1 << 40), region(.tagStorage, 1 << 40, 1 << 25),
        ])
    }

    /// Any map whose regions of tag storage do not touch each other.
    static func any(_ generator: inout SeededGenerator) throws -> MemoryMap {
        var regions: [Region] = []
        var storage: [(node: UInt32?, blockSize: UInt64, size: UInt64, regions: [Int])] = []
        var position = generator.bits(8) * block
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
            if generator.oneIn(2) { position += (generator.bits(4) + 1) * block }
            let node: UInt32? = generator.oneIn(2) ? nil : UInt32(generator.bits(1))
            switch generator.next(upperBound: 4 as UInt64) {
            case 0:
                regions.append(region(.ordinary, position, (generator.bits(5) + 1) * Page.size, node: node))
            case 1:
                regions.append(
                    region(.dataWithHiddenTags, position, (generator.bits(3) + 1) * block, node: node))
            default:
                if storage.isEmpty || generator.oneIn(2) {
                    storage.append((generator.oneIn(2) ? nil : 1, (generator.bits(2) + 1) * Page.size, 0, []))
                }
                let last = storage.count - 1
                let size = (generator.bits(2) + 1) * storage[last].blockSize
                storage[last].regions.append(regions.count)
                regions.append(data(position, size * 32, tags: storage[last].size, node: node))
                storage[last].size += size
            }
            position = (regions[regions.count - 1].end.rawValue + block - 1) / block * block
        }
        for part in storage {
            position += (generator.bits(4) + 1) * Page.size
            for index in part.regions {
                guard case .data(let offset) = regions[index].kind else { continue }
                regions[index] = data(
                    regions[index].start.rawValue, regions[index].size, tags: position + offset.rawValue,
                    node: regions[index].numaNode)
            }
            regions.append(
                Region(
                    start: at(position), size: part.size, kind: .tagStorage, numaNode: part.node,
                    blockSize: part.blockSize))
            position += part.size
        }
        return try MemoryMap(regions: regions, reservations: reservations(regions, &generator))
    }

    private static func reservations(
        _ regions: [Region], _ generator: inout SeededGenerator
    ) -> [MemoryMap.Reservation] {
        regions.filter { $0.kind != .tagStorage && generator.oneIn(3) }.map { region in
            let pages = region.size / Page.size
            let first = generator.next(upperBound: pages)
            let count = generator.next(upperBound: pages - first) + 1
            return MemoryMap.Reservation(
                start: region.start + first * Page.size, size: count * Page.size,
                isUnmapped: generator.oneIn(2))
        }
    }
}
