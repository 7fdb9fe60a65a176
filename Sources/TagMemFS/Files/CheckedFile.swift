import TagMemCore

/// `checked`: the file offset is a tagged pointer. For pread and pwrite; it cannot be mapped.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class CheckedFile: CheckedMemoryFile, @unchecked Sendable {
    override var isDirect: Bool { true }
    /// Behind the last tagged pointer. The file itself has no size to say, as /proc/PID/mem has none.
    override var size: UInt64 {
        TaggedPointer(address: super.size, tag: AddressTag(truncating: 15)).rawValue
    }

    override func access(
        _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
    ) throws(FileError) -> MemoryAccess {
        let pointer = TaggedPointer(rawValue: offset)
        if pointer.hasBitsAboveTag { throw .invalid }
        if case .fill = purpose { throw .notSupported }
        return MemoryAccess(
            purpose, alias, at: pointer.address, count: count, tag: pointer.addressTag, user: user)
    }

    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
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
