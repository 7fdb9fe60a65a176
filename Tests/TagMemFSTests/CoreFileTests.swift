import Glibc
import TagMemCore
import TagMemDeviceTree
import Testing

@testable import TagMemFS

/// `core` without a mount: reads that wait, and objects that change.
@Suite("CoreFile") struct CoreFileTests {
    let fileSystem: FileSystem
    let object: ObjectID
    private let directoryNode: NodeID
    private let sink = ReplyTests.Sink()
    var directory: CoherenceDirectory { fileSystem.directory }

    /// An object of two pages, all bytes 7, all tags 5.
    init() throws {
        let map = try MemoryMap(regions: TestMaps.standard)
        fileSystem = try FileSystem(
            map: map, layout: BlockLayout(map: map), deviceTree: DeviceTree(describing: map, in: .proposal))
        directoryNode = try fileSystem.makeDirectory(
            "a", in: fileSystem.lookUp("tagged", in: .root), permissions: 0o755, user: 1, group: 1)
        object = try #require(fileSystem.object(of: directoryNode))
        try resize(to: 2 * 4096)
        for page in 0..<2 {
            let address = try #require(
                directory.withObject(object) { $0.memory.pages[page] }.flatMap { $0 }
                    .map { directory.layout.address(of: $0) })
            // SAFETY: the buffer is the array's, for the closure's duration.
            unsafe [UInt8](repeating: 7, count: 4096).withUnsafeBytes {
                unsafe fileSystem.dram.write($0, to: address)
            }
            fileSystem.dram.fillTags(AllocationTag(truncating: 5), at: address, count: 4096)
        }
    }

    private func resize(to size: UInt64) throws {
        try change { directory.resize(object, to: size, then: $0) }
    }

    private func change(_ body: (DirectoryFixture.Operation) -> Void) throws {
        let operation = DirectoryFixture.Operation()
        body(operation)
        try directory.goOn()
        try #require(operation.isGranted)
    }

    private func open() throws -> CoreFile {
        let file = try fileSystem.open(fileSystem.lookUp("core", in: directoryNode), flags: O_RDONLY)
        return try #require(file as? CoreFile)
    }

    private func read(_ file: CoreFile, at offset: UInt64, size: Int, _ number: UInt = 1) {
        file.read(sink.reply(number), at: offset, size: size, isFill: false, isNonblocking: false)
    }

    /// What the kernel writes back of a page: `byte` everywhere.
    private func writeBack(_ byte: UInt8, _ kind: AliasKind, at offset: UInt64) {
        let access = unsafe Array(repeating: byte, count: 4096).withUnsafeBytes {
            unsafe directory.beginWriteback(Alias(object: object, kind: kind), at: offset, $0)
        }
        for index in access.footprint.pieces.indices {
            guard case .memory(let address, let count) = access.footprint.pieces[index] else { continue }
            // SAFETY: the buffer is the array's, for the closure's duration.
            unsafe Array(repeating: byte, count: count).withUnsafeBytes {
                unsafe fileSystem.dram.write($0, to: address)
            }
        }
        directory.end(access)
    }

    /// The kernel gives a page of a file to a mapping that may be stored to.
    private func map(_ kind: AliasKind, at offset: UInt64) throws {
        let alias = Alias(object: object, kind: kind)
        #expect(directory.opened(alias, isWritable: true))
        let fill: DirectoryFixture.Operation = directory.begin(
            MemoryAccess(.fill(pages: 1), alias, at: offset, count: 4096))
        directory.end(try #require(fill.access))
    }

    /// A file of so many bytes of data and so many of tags, from the object's offset 4096 on.
    private func bytes(_ data: UInt8, _ tags: UInt8) -> [UInt8] {
        Array(repeating: data, count: 4096) + Array(repeating: tags, count: 256)
    }

    @Test("a read waits for what programs may have stored, in each of its parts") func waits() throws {
        let file = try open()
        try map(.mem, at: 4096)
        try map(.tags, at: 0)
        read(file, at: 8192, size: 1 << 20)
        #expect(sink.answers.isEmpty)
        #expect(try #require(directory.nextRecall(.sized)).kind == .mem)
        writeBack(8, .mem, at: 4096)
        directory.finishRecall(.sized)
        #expect(sink.answers.isEmpty)
        // The bytes that it has are among those that may be kept for requests that wait.
        #expect(directory.look { $0.waits.bytes } == 4096)
        #expect(try #require(directory.nextRecall()).kind == .tags)
        writeBack(0x99, .tags, at: 0)
        directory.finishRecall()
        #expect(sink.answers == [.init(request: 1, bytes: bytes(8, 0x99))])
        #expect(directory.look { $0.waits.bytes } == 0)
        try directory.checkInvariants()
    }

    @Test("where what is stays as it was at open; what is lost reads as zero") func changes() throws {
        let file = try open()
        try resize(to: 4096)
        read(file, at: 4096 + 4095, size: 2)
        read(file, at: 4096 + 4096, size: 4096, 2)
        read(file, at: 8192, size: 1 << 20, 3)
        read(file, at: file.layout.tagsOffset + 127, size: 1 << 20, 4)
        try resize(to: 3 * 4096)
        read(file, at: 4096 + 8192, size: 1, 5)
        read(file, at: file.layout.size, size: 1, 6)
        let zeros = [UInt8](repeating: 0, count: 4096)
        let tags = [UInt8](repeating: 0x55, count: 128)
        #expect(
            sink.answers.map(\.bytes) == [
                [7, 0], zeros, zeros + tags + zeros.prefix(128), [0x55] + zeros.prefix(128), [0x55], [],
            ])
        #expect(try open().layout.objectSize == 3 * 4096)
    }

    @Test("the tags of an object that has none any more are refused, its bytes are read") func untagged()
        throws
    {
        let file = try open()
        try change { directory.setUse(.untagged, of: object, then: $0) }
        read(file, at: 8192, size: 1 << 20)
        read(file, at: file.layout.tagsOffset, size: 1, 2)
        #expect(
            sink.answers == [
                .init(request: 1, bytes: [UInt8](repeating: 7, count: 4096)),
                .init(request: 2, error: EOPNOTSUPP),
            ])
    }

    @Test("the object stays as long as the file is open") func removed() throws {
        let file = try open()
        #expect(!directory.removed(object))
        #expect(throws: FileError.notFound) { try open() }
        read(file, at: 4096, size: 1)
        #expect(sink.answers.map(\.bytes) == [[7]])
        file.released()
        try directory.goOn()
        #expect(!directory.look { $0.objects.contains(object) })
    }

    @Test("its pages cannot be had for mappings, and it is not written") func refused() throws {
        let node = try fileSystem.lookUp("core", in: directoryNode)
        for flags in [O_WRONLY, O_RDWR] {
            #expect(throws: FileError.accessDenied) { try fileSystem.open(node, flags: flags) }
        }
        try open().read(sink.reply(), at: 0, size: 4096, isFill: true, isNonblocking: false)
        #expect(sink.answers == [.init(request: 1, error: EOPNOTSUPP)])
        #expect(throws: FileError.notFound) {
            try fileSystem.lookUp("core", in: fileSystem.lookUp("phys", in: .root))
        }
    }
}
