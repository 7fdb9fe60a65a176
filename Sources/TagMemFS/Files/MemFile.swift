import TagMemCore

/// `mem`: an object's memory, unchecked. Bytes of tag storage are tags, also here.
final class MemFile: MemoryFile, @unchecked Sendable {
    override var isDirect: Bool { fileSystem.mapsDirectFiles }
    override var options: Options { Options(isDirect: isDirect, writesInParallel: true) }

    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        unsafe storeTagWriteback(bytes, access.footprint)
    }

    override func fsync(_ reply: consuming Reply) { replyAfterRecalls(reply) }

    /// Room for a range of an object, or a hole; of the physical address space as of any other file: nothing.
    override func allocate(_ reply: consuming Reply, _ range: Range<UInt64>, keepsSize: Bool, isHole: Bool) {
        guard !object.isPhysical else {
            return super.allocate(reply, range, keepsSize: keepsSize, isHole: isHole)
        }
        let done = DeferredReply(reply) { [directory, object] in
            directory.noteContent(of: object)
            directory.whenTold($0) { $0.done() }
        }
        if isHole {
            directory.start(PunchJob(object, range), then: done)
        } else {
            directory.populate(object, range, keepsSize: keepsSize, then: done)
        }
    }
}
