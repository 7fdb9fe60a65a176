import TagMemCore

/// SEEK_DATA and SEEK_HOLE.
extension MemoryFile {
    func seekByOffset(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        let scale = alias.scale
        // The tags of 32 bytes begun are there as a whole, also where an object ends in their midst.
        let unit = alias.showsTags ? TagGranule.bytesPerTagByte : 1
        guard offset < size, let next = next(memory: toData, from: offset * scale / unit * unit) else {
            return reply.error(.pastEnd)
        }
        let found = (toData ? next / unit : (next + unit - 1) / unit) * unit / scale
        reply.offset(min(max(offset, found), size))
    }

    /// The same where an offset is a tagged pointer: memory lies there once for each tag.
    func seekByPointer(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        let pointer = TaggedPointer(rawValue: offset)
        guard offset < size else { return reply.error(.pastEnd) }
        if let next = next(memory: toData, from: pointer.address) {
            return reply.offset(TaggedPointer(address: next, tag: pointer.addressTag).rawValue)
        }
        if !toData { return reply.offset(offset) }
        guard pointer.addressTag.rawValue < 15, let first = next(memory: true, from: 0)
        else {
            return reply.error(.pastEnd)
        }
        let tag = AddressTag(truncating: UInt64(pointer.addressTag.rawValue) + 1)
        reply.offset(TaggedPointer(address: first, tag: tag).rawValue)
    }
}
