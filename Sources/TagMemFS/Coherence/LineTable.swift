import Glibc
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

/// The state of every line of memory: 4 KiB of data, or the 128 bytes of tag storage that hold the tags of 4 KiB.
///
/// With lines of that size a page of data and its tags each have exactly one line, whatever files show them:
///
/// ```
///   region of data            P0 │ P1 │ P2 │ …  P31 │           one line a page
///                              │    │    │        │             companions
///   region of tag storage     T0 │ T1 │ T2 │ …  T31 │           32 lines a page: one Tag Page
/// ```
///
/// Two bytes a line, committed as they are written. Not thread-safe; the directory's lock guards it.
@safe
final class LineTable: @unchecked Sendable {
    // SAFETY: `states` is mapped in `init` for `lineCount` lines and unmapped in `deinit`; every access checks its
    // index against `lineCount`.
    private let states: UnsafeMutablePointer<LineState>
    let lineCount: Int
    /// Lines with a holder, a chunk each.
    private var heldLines: [Int32]
    private let regions: [RegionLines]

    private struct RegionLines {
        let region: MemoryMap.Region
        let firstLine: Int
        let lineSize: UInt64
        /// Line of the first companion of `firstLine`, -1 if none. Tag storage that serves several regions of data
        /// has several; see `parts`.
        var companions: [(lines: Range<Int>, companion: Int)] = []
        var lineCount: Int { Int(region.size / lineSize) }
    }

    init(map: MemoryMap) throws(DRAMError) {
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
        heldLines = [Int32](repeating: 0, count: next / Self.chunk + 1)
        let size = next * MemoryLayout<LineState>.stride
        let base = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else {
            throw DRAMError(size: UInt64(size), errno: errno)
        }
        unsafe states = unsafe base.bindMemory(to: LineState.self, capacity: next)
    }

    deinit { unsafe munmap(states, lineCount * MemoryLayout<LineState>.stride) }

    subscript(line: Int) -> LineState {
        @inline(__always) get {
            precondition(line >= 0 && line < lineCount)
            return unsafe states[line]
        }
        @inline(__always) set {
            precondition(line >= 0 && line < lineCount)
            let change = unsafe (newValue.holder == 0 ? 0 : 1) - (states[line].holder == 0 ? 0 : 1)
            unsafe states[line] = newValue
            if change != 0 { heldLines[line / Self.chunk] += Int32(change) }
        }
    }

    /// Lines that are looked through together for holders.
    private static let chunk = 1 << 15

    /// Calls `body` with every line that has a holder. Costs what is handed out, not what memory there is.
    func forEachHeldLine(_ body: (Int) -> Void) {
        for chunk in heldLines.indices where heldLines[chunk] != 0 {
            for line in (chunk * Self.chunk)..<min((chunk + 1) * Self.chunk, lineCount)
            where self[line].holder != 0 {
                body(line)
            }
        }
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
