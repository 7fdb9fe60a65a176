import TagMemCore

/// A list that needs no allocation for one element, which is what a request on contiguous memory has.
struct ShortList<Element> {
    private var first: Element?
    private var rest: [Element] = []

    var count: Int { first == nil ? 0 : 1 + rest.count }
    var indices: Range<Int> { 0..<count }

    subscript(index: Int) -> Element {
        guard index > 0, let element = first.map({ _ in rest[index - 1] }) else {
            guard let first else { preconditionFailure("index \(index) of an empty list") }
            return first
        }
        return element
    }

    mutating func append(_ element: Element) {
        if first == nil { first = element } else { rest.append(element) }
    }
}

/// The memory that a range of a file shows: what is copied, and the lines that this touches.
struct Footprint {
    /// A contiguous piece of what the file shows.
    enum Piece {
        /// Bytes of DRAM.
        case memory(PhysicalAddress, count: Int)
        /// Tags of memory that has none, and pages that an object does not have: read as zero.
        case zeros(count: Int)

        var count: Int {
            switch self {
            case .memory(_, let count), .zeros(let count): count
            }
        }
    }

    var pieces = ShortList<Piece>()
    var spans = ShortList<LineSpan>()
    /// Bytes of DRAM (and of zeros) that the pieces add up to.
    var count = 0
    /// Why the pieces end before the range does; nil if they do not.
    var stop: FileError?
    /// Whether some of the object's pages are not there: they must be before they can be written or mapped.
    var needsPages = false
    /// The object's `ObjectAliases.version` that this holds for.
    var version: UInt64 = 0

    mutating func append(_ piece: Piece) {
        pieces.append(piece)
        count += piece.count
    }
}

extension MemoryObject {
    /// The footprint of `count` bytes of `mem` (or, with `checked`, of a view) from the object's `address`.
    ///
    /// Within whole pages, whatever the object's kind: what the kernel may still have of it.
    func footprint(
        ofMemoryAt address: UInt64, count: Int, checked: Bool, within bound: Bound = .size, table: LineTable
    ) -> Footprint {
        var footprint = Footprint()
        var position = address
        if checked, kind == .untagged, bound == .size {
            footprint.stop = .notTaggable
            return footprint
        }
        while footprint.count < count {
            switch extent(at: position, limit: count - footprint.count, within: bound) {
            case .memory(let run):
                if checked, run.tagAddress == nil {
                    footprint.stop = .notTaggable
                    return footprint
                }
                footprint.append(.memory(run.address, count: run.count))
                table.appendSpans(
                    of: run.address, count: run.count, inRegion: run.region, to: &footprint.spans)
                position += UInt64(run.count)
            case .unpopulated(let count):
                footprint.append(.zeros(count: count))
                footprint.needsPages = true
                position += UInt64(count)
            case .nothing:
                footprint.stop = position < end ? .hole : .pastEnd
                return footprint
            }
        }
        return footprint
    }

    /// The footprint of `count` packed tag bytes from file offset `offset` of `tags`.
    func footprint(
        ofTagsAt offset: UInt64, count: Int, within bound: Bound = .tags, table: LineTable
    ) -> Footprint {
        var footprint = Footprint()
        let scale = TagGranule.bytesPerTagByte
        var position = offset
        if kind == .untagged, bound == .tags {
            footprint.stop = .notTaggable
            return footprint
        }
        while footprint.count < count {
            guard position < PhysicalAddress.limit / scale else {
                footprint.stop = .pastEnd
                break
            }
            let limit = (count - footprint.count) * Int(scale)
            let run: DRAM.Run
            switch extent(at: position * scale, limit: limit, within: bound) {
            case .memory(let found): run = found
            case .unpopulated(let count):
                footprint.append(.zeros(count: count / Int(scale)))
                footprint.needsPages = true
                position += UInt64(count) / scale
                continue
            case .nothing:
                footprint.stop = position < tagBytes ? .hole : .pastEnd
                return footprint
            }
            let bytes = run.count / Int(scale)
            if let tags = run.tagAddress {
                footprint.append(.memory(tags, count: bytes))
                guard let region = dram.map.banks.firstIndex(where: { $0.contains(tags) }) else {
                    preconditionFailure("tags at \(tags) outside of the memory map")
                }
                table.appendSpans(of: tags, count: bytes, inRegion: region, to: &footprint.spans)
            } else {
                footprint.append(.zeros(count: bytes))
            }
            position += UInt64(bytes)
        }
        return footprint
    }
}

extension LineTable {
    /// Appends the spans of `count` bytes at `address`, all in one region.
    func appendSpans(
        of address: PhysicalAddress, count: Int, inRegion region: Int, to spans: inout ShortList<LineSpan>
    ) {
        var position = address
        var left = count
        while left > 0 {
            let span = span(at: position, count: left, inRegion: region)
            spans.append(span)
            let size = span.isTagStorage ? Page.tagBytes : Page.size
            let covered = min(left, span.count * Int(size) - Int(position.rawValue % size))
            position = position + UInt64(covered)
            left -= covered
        }
    }
}
