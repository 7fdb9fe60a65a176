import TagMemCore
import Testing

@testable import TagMemFS

@Suite("CoreLayout: an ELF core file as a value") struct CoreLayoutTests {
    static let sizes: [UInt64] = [0, 1, 16, 33, 4096, 8 << 20 | 5, 64 << 30, 1 << 43]

    /// The numbers in a file's bytes.
    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        mutating func next(_ size: Int) -> UInt64 {
            defer { position += size }
            return bytes[position..<position + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    private struct Segment: Equatable {
        var type: UInt64
        var flags: UInt64
        var offset: UInt64
        var address: UInt64 = 0
        var physicalAddress: UInt64 = 0
        var fileSize: UInt64
        var memorySize: UInt64
        var alignment: UInt64
    }

    private func segments(_ bytes: [UInt8]) -> [Segment] {
        var reader = Reader(bytes: bytes, position: 64)
        return (0..<3).map { _ in
            Segment(
                type: reader.next(4), flags: reader.next(4), offset: reader.next(8), address: reader.next(8),
                physicalAddress: reader.next(8), fileSize: reader.next(8), memorySize: reader.next(8),
                alignment: reader.next(8))
        }
    }

    @Test(
        "the file's header says ELF64, little-endian, core, AArch64, three program headers", arguments: sizes)
    func fileHeader(_ size: UInt64) {
        var reader = Reader(bytes: CoreLayout(objectSize: size).headers)
        #expect(reader.bytes.count == 4096)
        #expect(reader.bytes[..<16] == [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        reader.position = 16
        // Type, machine, version; entry, program headers, section headers; flags; sizes and counts.
        #expect([2, 2, 4].map { reader.next($0) } == [4, 183, 1])
        #expect([8, 8, 8].map { reader.next($0) } == [0, 64, 0])
        #expect([4, 2, 2, 2, 2, 2, 2].map { reader.next($0) } == [0, 64, 56, 3, 0, 0, 0])
        #expect(reader.position == 64)
    }

    @Test("segments are the notes, the object and its tags, and reach to the file's end", arguments: sizes)
    func segments(_ size: UInt64) {
        let layout = CoreLayout(objectSize: size)
        let found = segments(layout.headers)
        let tags = (size + 31) / 32
        #expect(found[0].type == 4 && found[0].offset == 64 + 3 * 56 && found[0].memorySize == 0)
        #expect(
            found[1]
                == Segment(
                    type: 1, flags: 6, offset: 4096, fileSize: size, memorySize: size, alignment: 4096))
        #expect(
            found[2]
                == Segment(
                    type: 0x7000_0002, flags: 0, offset: 4096 + size, fileSize: tags, memorySize: tags * 32,
                    alignment: 0))
        #expect(layout.size == 4096 + size + tags)
    }

    @Test("notes are a thread, and a machine with MTE") func notes() {
        let bytes = CoreLayout(objectSize: 4096).headers
        let segment = segments(bytes)[0]
        var reader = Reader(bytes: bytes, position: Int(segment.offset))
        // The sizes of name and description, and the type.
        #expect([4, 4, 4].map { reader.next($0) } == [5, 392, 1])
        #expect(bytes[reader.position..<reader.position + 8] == [0x43, 0x4f, 0x52, 0x45, 0, 0, 0, 0])
        reader.position += 8
        // Nothing but the thread's number.
        let status = bytes[reader.position..<reader.position + 392]
        #expect(status.indices.filter { status[$0] != 0 } == [reader.position + 32])
        reader.position += 392
        #expect([4, 4, 4, 8].map { reader.next($0) } == [5, 48, 6, 0x45_524f43])
        // AT_PAGESZ, AT_HWCAP2 with HWCAP2_MTE, AT_NULL.
        #expect((0..<6).map { _ in reader.next(8) } == [6, 4096, 26, 1 << 18, 0, 0])
        #expect(reader.position == Int(segment.offset + segment.fileSize))
        #expect(bytes[reader.position...].allSatisfy { $0 == 0 })
    }

    /// Bytes from an offset on, as a file of an object of these bytes and tags shows them.
    private func read(
        _ layout: CoreLayout, _ data: [UInt8], _ tags: [UInt8], at offset: Int, count: Int
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = layout.part(at: UInt64(offset + bytes.count), limit: count - bytes.count) {
            #expect(part.count > 0)
            switch part {
            case .headers(let range): bytes += layout.headers[range]
            case .data(let start, let count): bytes += data[Int(start)..<Int(start) + count]
            case .tags(let start, let count): bytes += tags[Int(start)..<Int(start) + count]
            }
            if bytes.count == count { break }
        }
        return bytes
    }

    @Test("pieces of any size, from any offset, are those of the whole", arguments: [0, 1, 100, 4097, 9000])
    func pieces(_ size: Int) {
        let layout = CoreLayout(objectSize: UInt64(size))
        let data = (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7 + 1) }
        let tags = (0..<(size + 31) / 32).map { UInt8(truncatingIfNeeded: $0 * 11 + 3) }
        let whole = layout.headers + data + tags
        #expect(layout.size == whole.count)
        for piece in [1, 3, 100, 4095, 4096, 4097, 1 << 20] {
            var bytes: [UInt8] = []
            while bytes.count < whole.count {
                let part = read(layout, data, tags, at: bytes.count, count: piece)
                #expect(part.count == min(piece, whole.count - bytes.count))
                if part.isEmpty { break }
                bytes += part
            }
            #expect(bytes == whole, "in pieces of \(piece)")
        }
        #expect(layout.part(at: layout.size, limit: 1) == nil)
        #expect(layout.part(at: .max, limit: 1) == nil)
    }
}
