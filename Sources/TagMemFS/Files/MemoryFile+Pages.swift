import TagMemCore

/// Requests that need pages which the object does not have yet.
extension MemoryFile {
    /// Whether writes behind the end make the object larger.
    var growsObject: Bool { kind == .mem && aliases.slot != nil }

    /// Whether a write reaches behind the end.
    ///
    /// - Throws: `.noSpace` if it reaches further than an object can.
    func needsRoom(_ offset: UInt64, _ count: Int) throws(FileError) -> Bool {
        let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
        if overflow || end > UInt64(Int64.max) { throw .noSpace }
        return count > 0 && end > size
    }

    /// Gets the pages of a range of the file, then goes on.
    func populate(
        _ reply: consuming Reply, at offset: UInt64, count: Int,
        then goOn: @escaping @Sendable (MemoryFile, consuming Reply) -> Void
    ) {
        let address = (kind == nil ? TaggedPointer(rawValue: offset).address : offset) * (kind?.scale ?? 1)
        let end = address + UInt64(count) * (kind?.scale ?? 1)
        fileSystem.memory.populate(
            aliases, address..<end, then: DeferredReply(reply) { [self] in goOn(self, $0) })
    }

    func grow(
        _ reply: consuming Reply, to size: UInt64,
        then goOn: @escaping @Sendable (MemoryFile, consuming Reply) -> Void
    ) {
        // Never smaller, should somebody else have made it larger meanwhile.
        fileSystem.memory.grow(
            aliases, over: size..<size, then: DeferredReply(reply) { [self] in goOn(self, $0) })
    }

    func write(again reply: consuming Reply, at offset: UInt64, _ bytes: [UInt8]) {
        var answer: Reply? = consume reply
        unsafe bytes.withUnsafeBytes { bytes in
            guard let reply = answer.take() else { return }
            unsafe write(reply, at: offset, bytes, isWriteback: false)
        }
    }
}
