import TagMemCore

/// `checked`: the file offset is a tagged pointer. For pread and pwrite; it cannot be mapped.
final class CheckedFile: CheckedMemoryFile, @unchecked Sendable {
    override var options: Options { Options(reportsClose: closeCanReport) }
    override var size: UInt64 {
        TaggedPointer(address: super.size, tag: AddressTag(truncating: 15)).rawValue
    }

    override func address(of offset: UInt64) -> UInt64 { TaggedPointer(rawValue: offset).address }
    override func checkedTag(at offset: UInt64) -> AddressTag? { TaggedPointer(rawValue: offset).addressTag }

    override func footprint(at offset: UInt64, count: Int, handsOut: Bool) throws(FileError) -> Footprint {
        guard !TaggedPointer(rawValue: offset).hasBitsAboveTag else { throw .invalid }
        var footprint = directory.footprint(of: nil, aliases, at: address(of: offset), count: count)
        // Behind one tag's addresses come the next one's: no file ends here.
        if footprint.stop == .pastEnd { footprint.stop = .hole }
        return footprint
    }

    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        let pointer = TaggedPointer(rawValue: offset)
        guard offset < size else { return reply.error(.pastEnd) }
        if let next = directory.next(from: pointer.address, memory: toData, aliases) {
            return reply.offset(TaggedPointer(address: next, tag: pointer.addressTag).rawValue)
        }
        if !toData { return reply.offset(offset) }
        guard pointer.addressTag.rawValue < 15, let first = directory.next(from: 0, memory: true, aliases)
        else {
            return reply.error(.pastEnd)
        }
        let tag = AddressTag(truncating: UInt64(pointer.addressTag.rawValue) + 1)
        reply.offset(TaggedPointer(address: first, tag: tag).rawValue)
    }
}
