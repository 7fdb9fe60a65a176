import TagMemCore

/// A run of lines with consecutive numbers, all data or all tag storage, and the lines that belong to them.
///
/// The companions of data lines are the lines of their tags; those of tag lines, the lines of the data they tag.
/// `companion` is -1 where there are none: memory that is not MTE-capable, tag storage that holds no tags.
struct LineSpan: Equatable {
    var start: Int
    var count: Int
    var companion: Int
    var isTagStorage: Bool

    var lines: Range<Int> { start..<(start + count) }
    var companions: Range<Int> { companion < 0 ? 0..<0 : companion..<(companion + count) }
}

/// Which memory is which line: 4 KiB of data are one, and so are the 128 bytes of tag storage that hold their tags.
///
/// With lines of that size a page of data and its tags each have exactly one line, whatever files show them:
///
/// ```
///   region of data            P0 │ P1 │ P2 │ …  P31 │           one line a page
///                              │    │    │        │             companions
///   region of tag storage     T0 │ T1 │ T2 │ …  T31 │           32 lines a page: one Tag Page
/// ```
///
/// Immutable.
struct LineMap: Sendable {
    let lineCount: Int
    private let regions: [RegionLines]

    private struct RegionLines {
        let region: MemoryMap.Region
        let firstLine: Int
        let lineSize: UInt64
        /// Line of the first companion of `firstLine`, -1 if none. Tag storage that serves several regions of data
        /// has several.
        var companions: [(lines: Range<Int>, companion: Int)] = []
        var lineCount: Int { Int(region.size / lineSize) }
    }

    init(_ map: MemoryMap) {
        var regions: [RegionLines] = []
        var next = 0
        for region in map.banks {
            let lineSize = region.kind == .tagStorage ? Page.tagBytes : Page.size
            let lines = RegionLines(region: region, firstLine: next, lineSize: lineSize)
            regions.append(lines)
            next += lines.lineCount
        }
        for index in regions.indices {
            guard let tagBase = map.tagBase(of: regions[index].region),
                let storage = regions.firstIndex(where: { $0.region.contains(tagBase) })
            else { continue }
            let count = regions[index].lineCount
            let first = regions[index].firstLine
            let firstTagLine =
                regions[storage].firstLine + Int((tagBase - regions[storage].region.start) / Page.tagBytes)
            regions[index].companions.append((first..<(first + count), firstTagLine))
            regions[storage].companions.append((firstTagLine..<(firstTagLine + count), first))
        }
        self.regions = regions
        lineCount = next
    }

    /// The lines that `count` bytes at `address` touch, cut where the companions stop being consecutive.
    ///
    /// `count` is at least 1 and the bytes are memory of one region.
    func span(at address: PhysicalAddress, count: Int, inRegion index: Int) -> LineSpan {
        let lines = regions[index]
        let offset = address - lines.region.start
        let first = lines.firstLine + Int(offset / lines.lineSize)
        let last = lines.firstLine + Int((offset + UInt64(count) - 1) / lines.lineSize)
        var span = LineSpan(
            start: first, count: last - first + 1, companion: -1,
            isTagStorage: lines.region.kind == .tagStorage)
        for part in lines.companions where part.lines.contains(first) {
            span.count = min(span.count, part.lines.upperBound - first)
            span.companion = part.companion + (first - part.lines.lowerBound)
            return span
        }
        for part in lines.companions where part.lines.lowerBound > first {
            span.count = min(span.count, part.lines.lowerBound - first)
        }
        return span
    }

    /// Calls `body` with the spans of `count` bytes at `address`, all in one region.
    func forEachSpan(
        of address: PhysicalAddress, count: Int, inRegion region: Int, _ body: (LineSpan) -> Void
    ) {
        var position = address
        var left = count
        while left > 0 {
            let span = span(at: position, count: left, inRegion: region)
            body(span)
            let size = span.isTagStorage ? Page.tagBytes : Page.size
            let covered = min(left, span.count * Int(size) - Int(position.rawValue % size))
            position = position + UInt64(covered)
            left -= covered
        }
    }

    /// Appends a span, or lets the last one grow where lines, companions and memory go on.
    func append(_ span: LineSpan, to spans: inout [LineSpan]) {
        if let last = spans.last, last.isTagStorage == span.isTagStorage,
            last.start + last.count == span.start,
            last.companion < 0 ? span.companion < 0 : last.companion + last.count == span.companion,
            !regions.contains(where: { $0.firstLine == span.start || $0.firstLine == span.companion })
        {
            spans[spans.count - 1].count += span.count
        } else {
            spans.append(span)
        }
    }

    /// Where a line's memory begins, and the data address that a line of tag storage holds the tags of.
    func location(of line: Int) -> (address: PhysicalAddress, tagged: PhysicalAddress?) {
        guard let lines = regions.last(where: { $0.firstLine <= line }) else {
            preconditionFailure("line \(line) of \(lineCount)")
        }
        let address = lines.region.start + UInt64(line - lines.firstLine) * lines.lineSize
        guard lines.region.kind == .tagStorage else { return (address, nil) }
        for part in lines.companions where part.lines.contains(line) {
            let companion = part.companion + (line - part.lines.lowerBound)
            return (address, location(of: companion).address)
        }
        return (address, nil)
    }

    /// Bytes of memory that a line stands for.
    func size(of line: Int) -> UInt64 {
        regions.last { $0.firstLine <= line }?.lineSize ?? Page.size
    }
}
