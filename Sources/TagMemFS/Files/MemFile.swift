import TagMemCore

/// `mem`: an object's memory, unchecked. Bytes of tag storage are tags, also here.
final class MemFile: MemoryFile, @unchecked Sendable {
    override var options: Options { Options(isDirect: fileSystem.mapsDirectFiles) }

    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint) {
        unsafe storeTagWriteback(bytes, footprint)
    }

    override func fsync(_ reply: consuming Reply) { replyAfterRecalls(reply) }
}
