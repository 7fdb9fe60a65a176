import TagMemCore

/// `core` of an object: its memory and its tags as an ELF core file, which debuggers read. It is made as it is read.
///
/// Where what is stays as it was when the file was opened. What the object has lost since then reads as zero with tag 0, as
/// a hole does; what it has got is not there.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class CoreFile: OpenFile, @unchecked Sendable {
    let fileSystem: FileSystem
    let directory: CoherenceDirectory
    let object: ObjectID
    let layout: CoreLayout

    /// For the count of the object's open files.
    private var alias: Alias { Alias(object: object, kind: .mem, isBorrowed: true) }

    /// Opens the file; `released` must follow.
    ///
    /// - Throws: `.notFound` if the object is gone.
    init(_ fileSystem: FileSystem, node: NodeID, _ object: ObjectID) throws(FileError) {
        self.fileSystem = fileSystem
        directory = fileSystem.directory
        self.object = object
        layout = CoreLayout(objectSize: directory.size(of: .mem, object))
        super.init(node: node)
        guard directory.opened(alias, isWritable: false) else { throw .notFound }
    }

    override func released() {
        if directory.closed(alias, isWritable: false) { fileSystem.release(object) }
    }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        // Pages of it that the kernel kept would be of memory that other files change.
        if isFill { return reply.error(.notSupported) }
        CoreRead(self, reply, at: offset, size: size).goOn()
    }

    /// SEEK_DATA and SEEK_HOLE: its holes are the object's.
    override func seek(_ reply: consuming Reply, from offset: UInt64, toData: Bool) {
        guard offset < layout.size else { return reply.error(.pastEnd) }
        var position = offset
        while let part = layout.part(at: position, limit: .max) {
            if let found = next(data: toData, in: part) { return reply.offset(position + found) }
            position += UInt64(part.count)
        }
        if toData { reply.error(.pastEnd) } else { reply.offset(position) }
    }

    /// The first byte of a part that is data, or a hole.
    private func next(data: Bool, in part: CoreLayout.Part) -> UInt64? {
        let (start, count, scale): (UInt64, Int, UInt64)
        switch part {
        case .headers: return data ? 0 : nil
        case .data(let offset, let length): (start, count, scale) = (offset, length, 1)
        case .tags(let offset, let length):
            (start, count, scale) = (offset, length, TagGranule.bytesPerTagByte)
        }
        // Behind the end that the object has now there is nothing any more.
        let end = directory.size(of: .mem, object)
        let found =
            start * scale < end ? directory.next(from: start * scale, memory: data, object) : data ? nil : end
        guard let found else { return nil }
        let position = max((found + (data ? 0 : scale - 1)) / scale, start) - start
        return position < UInt64(count) ? position : nil
    }
}
