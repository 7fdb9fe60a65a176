import TagMemCore

@testable import TagMemFS

/// Memory, the page caches and the model of what was last written.
extension ObjectKernel {
    /// Whose memory is at an address, and where in the model: nil for what is nobody's, or not settled.
    ///
    /// The `count` bytes are in one line. Returns how many of them the model knows.
    func place(of address: PhysicalAddress, count: Int) -> (place: Place, count: Int)? {
        // Changes that draining ends may have got anywhere.
        guard !isDraining, let run = dram.run(at: address, limit: count) else { return nil }
        if let (object, offset) = owner(of: address) {
            let offset = Int(offset)
            let range = UInt64(offset)..<UInt64(offset + count)
            if object.unsettled.contains(where: { $0.overlaps(range) }) { return nil }
            let known = min(count, Int(clamping: Int64(memory(of: object).size) - Int64(offset)))
            return known > 0 ? (Place(object: object, isTags: false, offset: offset), known) : nil
        }
        guard dram.map.regions[run.region].kind == .tagStorage else { return nil }
        // A reserved Tag Page, or a free one: the tags of the data.
        let span = directory.map.span(at: address, count: count, inRegion: run.region)
        guard let line = span.companions.first else { return nil }
        let inLine = address.rawValue % Page.tagBytes
        let data = directory.map.location(of: line).address
        guard let (object, offset) = owner(of: data), memory(of: object).kind == .tagged,
            !object.isConverting
        else { return nil }
        let start = offset / 32 + inLine
        let range = start * 32..<(start + UInt64(count)) * 32
        if object.unsettled.contains(where: { $0.overlaps(range) }) { return nil }
        let known = min(count, Int(clamping: Int64(memory(of: object).tagBytes) - Int64(start)))
        return known > 0 ? (Place(object: object, isTags: true, offset: Int(start)), known) : nil
    }

    /// The object that shows a page, and its address of it.
    private func owner(of address: PhysicalAddress) -> (object: Object, offset: UInt64)? {
        guard let (id, offset) = directory.look({ $0.owner(at: address) }),
            let object = objects.first(where: { $0.id == id }), !object.isRemoved,
            memory(of: object).pages[Int(offset / pageSize)] == layout.frame(at: address)
        else { return nil }
        return (object, offset)
    }

    func memory(of object: Object) -> MemoryObject { directory.look { $0.objects[object.id].memory } }

    /// Calls `body` with address, position in the footprint and length of the memory in a part of a footprint, a line
    /// at a time.
    func forEachLine(
        of footprint: Footprint, _ part: Range<Int>, _ body: (PhysicalAddress, Int, Int) -> Void
    ) {
        var position = 0
        for index in footprint.pieces.indices {
            let piece = footprint.pieces[index]
            defer { position += piece.count }
            guard case .memory(let start, _) = piece else { continue }
            let common = (position..<position + piece.count).clamped(to: part)
            var done = common.lowerBound
            while done < common.upperBound {
                let address = start + UInt64(done - position)
                let isStorage =
                    dram.map.regions[dram.run(at: address, limit: 1)?.region ?? 0].kind == .tagStorage
                let size = Int(isStorage ? Page.tagBytes : Page.size)
                let count = min(size - Int(address.rawValue) % size, common.upperBound - done)
                body(address, done, count)
                done += count
            }
        }
    }

    /// Calls `body` with what the model knows of a part of a footprint.
    func forEachKnown(
        of footprint: Footprint, _ part: Range<Int>? = nil, _ body: (PhysicalAddress, Int, Int, Place) -> Void
    ) {
        forEachLine(of: footprint, part ?? 0..<footprint.count) { address, position, count in
            guard let (place, known) = place(of: address, count: count) else { return }
            body(address, position, known, place)
        }
    }

    /// The model's bytes at a place.
    func model(_ place: Place, _ count: Int) -> ArraySlice<UInt8> {
        (place.isTags ? place.object.tags : place.object.data)[place.offset..<place.offset + count]
    }

    func remember(_ bytes: ArraySlice<UInt8>, at place: Place) {
        let range = place.offset..<place.offset + bytes.count
        if place.isTags {
            place.object.tags.replaceSubrange(range, with: bytes)
        } else {
            place.object.data.replaceSubrange(range, with: bytes)
        }
    }

    func write(_ bytes: ArraySlice<UInt8>, to address: PhysicalAddress) {
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe bytes.withUnsafeBytes { unsafe dram.write($0, to: address) }
    }

    func isInMemory(_ bytes: ArraySlice<UInt8>, _ address: PhysicalAddress) -> Bool {
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe bytes.withUnsafeBytes { unsafe dram.equals($0, at: address) }
    }

    /// What memory holds of a footprint, as a page of `count` bytes.
    func content(_ footprint: Footprint, count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        forEachLine(of: footprint, 0..<min(count, footprint.count)) { address, position, count in
            // SAFETY: the buffer is the array's, for the closure's duration.
            unsafe result[position..<position + count].withUnsafeMutableBytes {
                unsafe dram.read($0, from: address)
            }
        }
        return result
    }

    /// What a page of a file in the page cache shows: of a view also while the object turns untagged.
    func footprint(_ file: File, _ offset: UInt64, _ count: Int) -> Footprint {
        directory.look { state in
            let record = state.objects[file.alias.object]
            let kind = record.isUntagging && file.kind.isView ? .mem : file.kind
            return record.memory.footprint(of: kind, at: offset, count: count, state.map)
        }
    }

    /// The data lines whose tags these bytes change.
    func changedDataLines(_ bytes: [UInt8], _ footprint: Footprint) -> [Int] {
        var changed: [Int] = []
        forEachLine(of: footprint, 0..<min(bytes.count, footprint.count)) { address, position, count in
            guard let run = dram.run(at: address, limit: count),
                dram.map.regions[run.region].kind == .tagStorage,
                !isInMemory(bytes[position..<position + count], address)
            else { return }
            changed += directory.map.span(at: address, count: count, inRegion: run.region).companions
        }
        return changed
    }
}
