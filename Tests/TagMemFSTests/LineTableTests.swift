import TagMemCore
import TestSupport
import Testing

@testable import TagMemFS

@Suite("LineMap and LineTable", .repeatable) struct LineTableTests {
    /// What one line stands for, by the book: a page of data or the tags of one.
    struct Line: Equatable {
        let address: UInt64
        let size: UInt64
        let region: Int
        let isTagStorage: Bool
        /// The tags of data; the data of tags.
        let companionAddress: UInt64?
    }

    static func expectedLines(_ map: MemoryMap) -> [Line] {
        var lines: [Line] = []
        for (index, region) in map.banks.enumerated() {
            let isTagStorage = region.kind == .tagStorage
            let size: UInt64 = isTagStorage ? 128 : 4096
            for offset in stride(from: 0, to: region.size, by: Int(size)) {
                let address = region.start.rawValue + offset
                var companion: UInt64?
                if let tagBase = map.tagBase(of: region) { companion = tagBase.rawValue + offset / 32 }
                for other in map.regions {
                    guard isTagStorage, let tagBase = map.tagBase(of: other), tagBase.rawValue <= address,
                        address < tagBase.rawValue + other.size / 32
                    else { continue }
                    companion = other.start.rawValue + (address - tagBase.rawValue) * 32
                }
                lines.append(
                    Line(
                        address: address, size: size, region: index, isTagStorage: isTagStorage,
                        companionAddress: companion))
            }
        }
        return lines
    }

    @Test("lines are numbered through, and each knows its memory", arguments: TestMaps.all)
    func locations(_ regions: [MemoryMap.Region]) throws {
        let map = try MemoryMap(regions: regions)
        let table = LineMap(map)
        let expected = Self.expectedLines(map)
        #expect(table.lineCount == expected.count)
        for (number, line) in expected.enumerated() {
            let location = table.location(of: number)
            #expect(location.address == at(line.address))
            #expect(location.tagged == (line.isTagStorage ? line.companionAddress.map { at($0) } : nil))
            #expect(table.size(of: number) == line.size)
        }
    }

    @Test("the span of a line is the line, and its companion's companion is itself", arguments: TestMaps.all)
    func companions(_ regions: [MemoryMap.Region]) throws {
        let map = try MemoryMap(regions: regions)
        let table = LineMap(map)
        let expected = Self.expectedLines(map)
        for (number, line) in expected.enumerated() {
            let span = table.span(at: at(line.address), count: Int(line.size), inRegion: line.region)
            #expect(span.lines == number..<number + 1)
            #expect(span.isTagStorage == line.isTagStorage)
            guard let address = line.companionAddress else {
                #expect(span.companions.isEmpty)
                continue
            }
            let companion = span.companion
            #expect(table.location(of: companion).address == at(address))
            let back = table.span(at: at(address), count: 1, inRegion: expected[companion].region)
            #expect(back.lines == companion..<companion + 1)
            #expect(back.companion == number)
        }
    }

    @Test("the spans of any range are its lines, with theirs as companions", arguments: TestMaps.all)
    func spans(_ regions: [MemoryMap.Region]) throws {
        let map = try MemoryMap(regions: regions)
        let table = LineMap(map)
        let expected = Self.expectedLines(map)
        try withSeed { generator in
            for _ in 0..<400 {
                let index = Int.random(in: 0..<map.banks.count, using: &generator)
                let region = map.banks[index]
                let offset = UInt64.random(in: 0..<region.size, using: &generator)
                let wanted = [1, 2, 127, 128, 129, 4096, 4097, 20000, 1 << 20].randomElement(
                    using: &generator)
                let count = min(Int(region.size - offset), try #require(wanted))
                var spans = ShortList<LineSpan>()
                table.forEachSpan(of: region.start + offset, count: count, inRegion: index) {
                    spans.append($0)
                }
                let range = region.start.rawValue + offset..<region.start.rawValue + offset + UInt64(count)
                let touched = expected.indices.filter {
                    expected[$0].address < range.upperBound
                        && range.lowerBound < expected[$0].address + expected[$0].size
                }
                #expect(spans.indices.flatMap { Array(spans[$0].lines) } == touched)
                let companions = spans.indices.flatMap { index in
                    spans[index].companions.isEmpty
                        ? Array(repeating: nil, count: spans[index].count)
                        : spans[index].companions.map { Optional(expected[$0].address) }
                }
                #expect(companions == touched.map { expected[$0].companionAddress })
            }
        }
    }

    @Test("held lines are found, across chunks, and no others")
    func heldLines() throws {
        var table = try LineTable(lineCount: 3 * LineTable.chunk - 5)
        withSeed { generator in
            var held = Set<Int>()
            let chunk = LineTable.chunk
            let places = [0, 1, chunk - 1, chunk, chunk + 77, 2 * chunk - 1, 2 * chunk, table.lineCount - 1]
            for step in 0..<300 {
                let line = places[Int.random(in: 0..<places.count, using: &generator)]
                if generator.oneIn(2) {
                    table[line] = table[line].held(by: UInt32.random(in: 1..<32, using: &generator))
                        .reserved(true)
                    held.insert(line)
                } else {
                    table[line] = table[line].released
                    held.remove(line)
                }
                guard step % 20 == 0 else { continue }
                var found: [Int] = []
                for chunk in 0..<table.chunkCount { found += table.heldLines(inChunk: chunk) }
                #expect(found == held.sorted())
                var holders: [Int] = []
                for place in places where table[place].holder != 0 { holders.append(place) }
                #expect(holders == held.sorted())
            }
        }
    }
}
