import TagMemCore

/// `tags`: allocation tags, packed as in tag storage. Offset = address / 32.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class TagsFile: MemoryFile, @unchecked Sendable {
    override func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int {
        fileSystem.counters.add(.tagWrites)
        return try unsafe super.store(bytes, access, thread: thread)
    }

    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        unsafe storeTagWriteback(bytes, access.footprint)
    }

    override func fsync(_ reply: consuming Reply) { replyAfterRecalls(reply) }
}
