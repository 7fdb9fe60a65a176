@testable import TagMemCore

/// A small machine with every kind of border: two data regions that touch, tag storage that touches data, holes.
///
/// ```
///   0x20000   data A, 256 KiB, tags at 0x80000
///   0x60000   data B, 128 KiB, tags at 0x82000
///   0x80000   tag storage, 16 KiB (its last page holds no tags)
///   0x84000   hole
///   0xa0000   data C, 128 KiB, tags at 0xc1000
///   0xc0000   tag storage, 8 KiB (its first page holds no tags)
///   0xc2000   hole
/// ```
enum Machine {
    static let regions: [MemoryMap.Region] = [
        .init(start: at(0x20000), size: 0x40000, kind: .data(tagBase: at(0x80000))),
        .init(start: at(0x60000), size: 0x20000, kind: .data(tagBase: at(0x82000))),
        .init(start: at(0x80000), size: 0x4000, kind: .tagStorage),
        .init(start: at(0xa0000), size: 0x20000, kind: .data(tagBase: at(0xc1000))),
        .init(start: at(0xc0000), size: 0x2000, kind: .tagStorage),
    ]

    static func make() throws -> DRAM { try DRAM(map: MemoryMap(regions: regions)) }

    static func at(_ address: UInt64) -> PhysicalAddress { PhysicalAddress(address) }
}

extension DRAM {
    /// All memory, region by region.
    func snapshot() -> [[UInt8]] { map.regions.map { bytes(at: $0.start, count: Int($0.size)) } }
}
