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
        /// Tags of memory that has none: read as zero, not changed by writes.
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

    mutating func append(_ piece: Piece) {
        pieces.append(piece)
        count += piece.count
    }
}

extension MemoryObject {
    /// The footprint of `count` bytes of `mem` (or, with `checked`, of a view) from the object's `address`.
    func footprint(ofMemoryAt address: UInt64, count: Int, checked: Bool, table: LineTable) -> Footprint {
        var footprint = Footprint()
        var position = address
        while footprint.count < count {
            guard let run = run(at: position, limit: count - footprint.count) else {
                footprint.stop = position < end ? .hole : .pastEnd
                break
            }
            if checked, run.tagAddress == nil {
                footprint.stop = .notTaggable
                break
            }
            footprint.append(.memory(run.address, count: run.count))
            table.appendSpans(of: run.address, count: run.count, inRegion: run.region, to: &footprint.spans)
            position += UInt64(run.count)
        }
        return footprint
    }

    /// The footprint of `count` packed tag bytes from file offset `offset` of `tags`.
    func footprint(ofTagsAt offset: UInt64, count: Int, table: LineTable) -> Footprint {
        var footprint = Footprint()
        let scale = TagGranule.bytesPerTagByte
        var position = offset
        while footprint.count < count {
            guard position < PhysicalAddress.limit / scale,
                let run = run(at: position * scale, limit: (count - footprint.count) * Int(scale))
            else {
                footprint.stop = position < end / scale ? .hole : .pastEnd
                break
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
