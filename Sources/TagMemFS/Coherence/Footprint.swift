import TagMemCore

/// The memory that a range of a file shows: what is copied, and the lines that this touches.
struct Footprint {
    /// A contiguous piece of what the file shows.
    enum Piece: Equatable {
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

    private(set) var pieces = ShortList<Piece>()
    private(set) var spans = ShortList<LineSpan>()
    /// Bytes of DRAM (and of zeros) that the pieces add up to.
    private(set) var count = 0
    /// Why the pieces end before the range does; nil if they do not.
    var stop: FileError?
    /// Whether some of the object's pages are not there: they must be before they can be written or mapped.
    var needsPages = false
    /// Whether some of it is memory without tags that is checked all the same (`TagCheckMode.Options.canonical`).
    var checksMemoryWithoutTags = false
    /// The region of the last piece: what is in another one is elsewhere in this process.
    private var region = -1

    /// Neighbours in memory become one piece: a page of `tags` shows many pages of data.
    ///
    /// - Parameter region: the piece's, as an index into `MemoryMap.banks`.
    mutating func append(_ piece: Piece, inRegion region: Int = -1) {
        count += piece.count
        defer { self.region = region }
        if let last = pieces.isEmpty ? nil : pieces[pieces.count - 1] {
            switch (last, piece) {
            case (.memory(let address, let before), .memory(let next, let more))
            where region == self.region && region >= 0 && address + UInt64(before) == next:
                pieces[pieces.count - 1] = .memory(address, count: before + more)
                return
            case (.zeros(let before), .zeros(let more)):
                pieces[pieces.count - 1] = .zeros(count: before + more)
                return
            default: break
            }
        }
        pieces.append(piece)
    }

    /// Has those of its bytes go nowhere that are marked; their lines stay.
    mutating func leaveOut(_ isLeftOut: [Bool]) {
        var rest = Footprint()
        var position = 0
        for index in pieces.indices {
            let piece = pieces[index]
            defer { position += piece.count }
            guard case .memory(let address, let count) = piece, position + count <= isLeftOut.count else {
                rest.append(piece)
                continue
            }
            var start = 0
            while start < count {
                let isOut = isLeftOut[position + start]
                let end = (start..<count).first { isLeftOut[position + $0] != isOut } ?? count
                let part = end - start
                rest.append(isOut ? .zeros(count: part) : .memory(address + UInt64(start), count: part))
                start = end
            }
        }
        pieces = rest.pieces
    }

    mutating func append(_ span: LineSpan) {
        if let last = spans.isEmpty ? nil : spans[spans.count - 1], last.isTagStorage == span.isTagStorage,
            last.start + last.count == span.start,
            last.companion < 0 ? span.companion < 0 : last.companion + last.count == span.companion
        {
            spans[spans.count - 1].count += span.count
        } else {
            spans.append(span)
        }
    }
}

extension MemoryObject {
    /// The footprint of `count` bytes of `mem` (or, with `checked`, of a view) from the object's `address`.
    ///
    /// Within whole pages, whatever the object's kind: what the kernel may still have of it.
    @inline(__always)
    func footprint(
        ofMemoryAt address: UInt64, count: Int, checked: Bool, within bound: Bound = .size, _ map: LineMap
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
                    guard mode.options.contains(.canonical) else {
                        footprint.stop = .notTaggable
                        return footprint
                    }
                    footprint.checksMemoryWithoutTags = true
                }
                footprint.append(.memory(run.address, count: run.count), inRegion: run.region)
                map.forEachSpan(of: run.address, count: run.count, inRegion: run.region) {
                    footprint.append($0)
                }
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
        ofTagsAt offset: UInt64, count: Int, within bound: Bound = .tags, _ map: LineMap
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
                guard let region = dram.map.banks.firstIndex(where: { $0.contains(tags) }) else {
                    preconditionFailure("tags at \(tags) outside of the memory map")
                }
                footprint.append(.memory(tags, count: bytes), inRegion: region)
                map.forEachSpan(of: tags, count: bytes, inRegion: region) { footprint.append($0) }
            } else {
                footprint.append(.zeros(count: bytes))
            }
            position += UInt64(bytes)
        }
        return footprint
    }

    /// The footprint of a range of one of the object's files. Offsets and counts are the file's.
    @inline(__always)
    func footprint(of kind: AliasKind?, at offset: UInt64, count: Int, _ map: LineMap) -> Footprint {
        switch kind {
        case .mem, .view, nil: footprint(ofMemoryAt: offset, count: count, checked: kind != .mem, map)
        case .tags: footprint(ofTagsAt: offset, count: count, map)
        case .tagsHex:
            footprint(ofTagsAt: offset / 2, count: Int((offset % 2 + UInt64(count) + 1) / 2), map)
        }
    }

    /// The same of whole pages of a file, as far as the object has pages: of what lies behind its size, too, which such
    /// a page will show when the object grows.
    func footprint(
        ofPagesAt offset: UInt64, count: Int, of kind: AliasKind, within bound: Bound, _ map: LineMap
    ) -> Footprint {
        switch kind {
        case .mem, .view: footprint(ofMemoryAt: offset, count: count, checked: false, within: bound, map)
        case .tags: footprint(ofTagsAt: offset, count: count, within: bound, map)
        case .tagsHex: footprint(ofTagsAt: offset / 2, count: count / 2, within: bound, map)
        }
    }

    /// The lines that a page of a file shows, whatever the object's size and kind are now.
    func lines(ofPageAt offset: UInt64, of kind: AliasKind, _ map: LineMap) -> [Int] {
        let spans = footprint(ofPagesAt: offset, count: Int(Page.size), of: kind, within: .pages, map).spans
        return spans.indices.flatMap { Array(spans[$0].lines) }
    }
}
