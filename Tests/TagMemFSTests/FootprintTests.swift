import TagMemCore
import Testing

@testable import TagMemFS

/// Footprints against a model that looks at one byte of the file at a time.
@Suite("Footprint") struct FootprintTests {
    enum File: CaseIterable {
        case mem, view, tags, tagsHex

        var kind: AliasKind {
            switch self {
            case .mem: .mem
            case .view: .view(AddressTag(truncating: 3))
            case .tags: .tags
            case .tagsHex: .tagsHex
            }
        }
        var scale: UInt64 {
            switch self {
            case .mem, .view: 1
            case .tags: 32
            case .tagsHex: 16
            }
        }
    }

    /// What one byte of a file shows.
    enum Shown: Equatable {
        case memory(UInt64), zero
        case nothing(FileError)
    }

    static func naive(_ map: MemoryMap, _ file: File, _ offset: UInt64) -> Shown {
        // A digit is half of the byte that a footprint is made of.
        let address = file == .tagsHex ? offset / 2 * 32 : offset * file.scale
        guard let region = map.regions.first(where: { $0.contains(at(address)) }) else {
            return .nothing(address < map.end.rawValue ? .hole : .pastEnd)
        }
        switch (file, region.kind) {
        case (.mem, _): return .memory(address)
        case (.view, .data), (.view, .dataWithHiddenTags): return .memory(address)
        case (.view, .tagStorage), (.view, .ordinary): return .nothing(.notTaggable)
        case (_, .data), (_, .dataWithHiddenTags):
            let tagBase = map.tagBase(of: region)?.rawValue ?? 0
            return .memory(tagBase + (address - region.start.rawValue) / 32)
        case (_, .tagStorage), (_, .ordinary): return .zero
        }
    }

    @Test("pieces, spans and the reason to stop are those of the bytes", arguments: File.allCases)
    func againstBytes(_ file: File) throws {
        for regions in TestMaps.all {
            let map = try MemoryMap(regions: regions)
            let object = MemoryObject(physical: try DRAM(map: map))
            let lines = LineMap(map)
            for offset in Self.offsets(map, file) {
                for count in [1, 2, 31, 128, 129, 4097] {
                    check(map, object, lines, file, offset, count)
                }
            }
        }
    }

    /// Around every boundary of a region, and one within.
    static func offsets(_ map: MemoryMap, _ file: File) -> [UInt64] {
        var boundaries = Set<UInt64>([0])
        for region in map.regions {
            for address in [region.start, region.start + region.size / 2 + 4096, region.end] {
                for distance: Int64 in [-4097, -129, -33, -32, -17, -1, 0, 1, 15, 33, 127, 4095] {
                    let offset = Int64(address.rawValue / file.scale) + distance
                    if offset >= 0 { boundaries.insert(UInt64(offset)) }
                }
            }
        }
        return boundaries.sorted()
    }

    private func check(
        _ map: MemoryMap, _ object: MemoryObject, _ lineMap: LineMap, _ file: File, _ offset: UInt64,
        _ count: Int
    ) {
        let footprint = object.footprint(of: file.kind, at: offset, count: count, lineMap)
        var expected: [Shown] = []
        var stop: FileError?
        let first = file == .tagsHex ? offset / 2 * 2 : offset
        for position in stride(from: first, to: offset + UInt64(count), by: file == .tagsHex ? 2 : 1) {
            let shown = Self.naive(map, file, position)
            if case .nothing(let reason) = shown {
                stop = reason
                break
            }
            expected.append(shown)
        }
        let place = "\(file) at 0x\(String(offset, radix: 16)), \(count) bytes"
        guard footprint.count == expected.count, footprint.stop == stop else {
            Issue.record("\(place): \(footprint.count), \(String(describing: footprint.stop))")
            return
        }
        var position = 0
        for index in footprint.pieces.indices {
            let piece = footprint.pieces[index]
            for byte in [0, piece.count / 2, piece.count - 1] {
                let shown: Shown =
                    if case .memory(let address, _) = piece { .memory(address.rawValue + UInt64(byte)) } else
                    { .zero }
                if shown != expected[position + byte] { Issue.record("\(place): byte \(position + byte)") }
            }
            position += piece.count
        }
        var touched: [Int] = []
        for case .memory(let address) in expected {
            let line = line(of: at(address), map, lineMap)
            if touched.last != line { touched.append(line) }
        }
        let lines = footprint.spans.indices.flatMap { Array(footprint.spans[$0].lines) }
        if lines != touched { Issue.record("\(place): lines \(lines), not \(touched)") }
    }

    private func line(of address: PhysicalAddress, _ map: MemoryMap, _ lineMap: LineMap) -> Int {
        let region = map.banks.firstIndex { $0.contains(address) } ?? 0
        return lineMap.span(at: address, count: 1, inRegion: region).start
    }

    @Test("the page of a file that shows a line shows it", arguments: TestMaps.all)
    func pageOffsets(_ regions: [MemoryMap.Region]) throws {
        let map = try MemoryMap(regions: regions)
        let object = MemoryObject(physical: try DRAM(map: map))
        let lines = LineMap(map)
        for line in 0..<lines.lineCount {
            let (address, tagged) = lines.location(of: line)
            let isData = map.regions.contains { $0.contains(address) && $0.isMTECapable }
            var kinds: [AliasKind] = address.rawValue < PhysicalAddress.limit ? [.mem] : []
            if isData { kinds.append(.view(AddressTag(truncating: 9))) }
            if tagged != nil { kinds += [.tags, .tagsHex] }
            for kind in kinds {
                let shown = kind.showsTags ? tagged ?? address : address
                let offset = kind.pageOffset(of: shown.rawValue)
                #expect(offset % Page.size == 0)
                let spans = object.footprint(of: kind, at: offset, count: 4096, lines).spans
                #expect(spans.indices.contains { spans[$0].lines.contains(line) })
                #expect(
                    object.lines(ofPageAt: offset, of: kind, lines)
                        == spans.indices.flatMap { Array(spans[$0].lines) })
            }
        }
    }

    @Test("a short list is a list")
    func shortList() {
        var list = ShortList<Int>()
        #expect(list.count == 0 && list.indices.isEmpty)
        for count in 1...5 {
            list.append(count)
            #expect(list.indices.map { list[$0] } == Array(1...count))
        }
    }
}
