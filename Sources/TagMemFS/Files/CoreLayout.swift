import TagMemCore

/// An ELF core file of a memory object, as a value: what is where in the file.
///
/// ```
///    0     ELF header, three program headers, notes
///    4096  the object's bytes          PT_LOAD
///          its tags, two a byte        PT_AARCH64_MEMTAG_MTE
/// ```
///
/// Holes of the object are holes of the file, not gaps between segments: there are as many headers whatever the object is
/// like, and they are known without looking at it.
struct CoreLayout: Equatable, Sendable {
    /// Of the object, in bytes.
    let objectSize: UInt64

    /// Where the object's bytes are.
    static let dataOffset = Page.size

    var tagBytes: UInt64 {
        objectSize / TagGranule.bytesPerTagByte + (objectSize % TagGranule.bytesPerTagByte == 0 ? 0 : 1)
    }
    var tagsOffset: UInt64 { Self.dataOffset + objectSize }
    /// Of the file.
    var size: UInt64 { tagsOffset + tagBytes }

    /// What a part of the file shows.
    enum Part: Equatable {
        /// Bytes of `headers`.
        case headers(Range<Int>)
        /// Bytes of the object.
        case data(at: UInt64, count: Int)
        /// Bytes of its packed tags.
        case tags(at: UInt64, count: Int)

        var count: Int {
            switch self {
            case .headers(let range): range.count
            case .data(_, let count), .tags(_, let count): count
            }
        }
    }

    /// What the file shows from an offset on, as far as it is of one kind, and `limit` bytes at most; nil at its end.
    func part(at offset: UInt64, limit: Int) -> Part? {
        func count(to end: UInt64) -> Int { Int(min(UInt64(limit), end - offset)) }
        switch offset {
        case ..<Self.dataOffset:
            return .headers(Int(offset)..<Int(offset) + count(to: Self.dataOffset))
        case ..<tagsOffset: return .data(at: offset - Self.dataOffset, count: count(to: tagsOffset))
        case ..<size: return .tags(at: offset - tagsOffset, count: count(to: size))
        default: return nil
        }
    }

    /// What is before the object's bytes.
    var headers: [UInt8] {
        var writer = CoreHeaderWriter()
        let notes = Self.notes
        let notesOffset = UInt64(CoreHeaderWriter.fileHeaderSize + 3 * CoreHeaderWriter.programHeaderSize)
        writer.appendFileHeader(programHeaders: 3)
        writer.append(
            .init(
                type: .note, offset: notesOffset, fileSize: UInt64(notes.count), memorySize: 0, alignment: 4))
        // An object's address in the file is its offset in the object: its pointers have whatever base a program chose.
        writer.append(
            .init(
                type: .load, flags: [.read, .write], offset: Self.dataOffset, fileSize: objectSize,
                memorySize: objectSize, alignment: Page.size))
        writer.append(
            .init(
                type: .memoryTags, offset: tagsOffset, fileSize: tagBytes,
                memorySize: tagBytes * TagGranule.bytesPerTagByte))
        writer.bytes += notes
        writer.bytes += [UInt8](repeating: 0, count: Int(Self.dataOffset) - writer.bytes.count)
        return writer.bytes
    }

    /// A thread, without which there is no process to look at, and what says that its machine has tags.
    private static let notes: [UInt8] = {
        var writer = CoreHeaderWriter()
        writer.appendThread(id: 1)
        writer.appendAuxiliaryVector([
            (.pageSize, Page.size), (.hardwareCapabilities2, AuxiliaryType.hasMTE), (.end, 0),
        ])
        return writer.bytes
    }()
}
