import TagMemCore

/// `mem`: an object's memory, unchecked. Bytes of tag storage are tags, also here.
final class MemFile: MemoryFile, @unchecked Sendable {
    override var options: Options { Options(isDirect: fileSystem.mapsDirectFiles) }

    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint) {
        unsafe storeTagWriteback(bytes, footprint)
    }

    override func fsync(_ reply: consuming Reply) { replyAfterRecalls(reply) }

    /// Room for a range of an object, or a hole; of the physical address space as of any other file: nothing.
    override func allocate(_ reply: consuming Reply, _ range: Range<UInt64>, keepsSize: Bool, isHole: Bool) {
        guard aliases.slot != nil else {
            return super.allocate(reply, range, keepsSize: keepsSize, isHole: isHole)
        }
        let done = DeferredReply(reply) { $0.done() }
        if isHole {
            fileSystem.memory.punch(aliases, range, then: done)
        } else if keepsSize || range.upperBound <= size {
            fileSystem.memory.populate(aliases, range, then: done)
        } else {
            fileSystem.memory.grow(aliases, over: range, then: done)
        }
    }
}
