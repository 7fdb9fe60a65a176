import TagMemCore

/// A file whose text is made when it is read from its beginning.
///
/// What is read behind that is of the same text, unless so much else was read meanwhile that the file system does not keep
/// it any more: then it is made anew.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
class TextFile: OpenFile, @unchecked Sendable {
    private let texts: TextCache
    private let current = Guarded(Current())

    private struct Current {
        weak var text: Text?
    }

    init(node: NodeID, _ texts: TextCache) {
        self.texts = texts
        super.init(node: node)
    }

    func makeText() -> String { "" }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        let bytes = text(at: offset).bytes
        guard offset < bytes.count else { return reply.endOfFile() }
        reply.bytes(Array(bytes[Int(offset)...].prefix(size)))
    }

    /// The text that a read at an offset is of. No lock is held while one is made.
    func text(at offset: UInt64) -> Text {
        if offset > 0, let text = current.withLock({ $0.text }) { return text }
        let text = texts.keep(Array(makeText().utf8), of: node)
        current.withLock { $0.text = text }
        return text
    }
}

/// A text file that says what somebody else knows.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class ReportFile: TextFile, @unchecked Sendable {
    private let make: @Sendable () -> String

    init(node: NodeID, _ texts: TextCache, _ make: @escaping @Sendable () -> String) {
        self.make = make
        super.init(node: node, texts)
    }

    override func makeText() -> String { make() }
}

/// A text file that takes one word.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
class ControlFile: TextFile, @unchecked Sendable {
    /// Longest value that is looked at, in bytes.
    private static let maximumLength = 512

    unowned let fileSystem: FileSystem
    var directory: CoherenceDirectory { fileSystem.directory }

    init(_ fileSystem: FileSystem, node: NodeID) {
        self.fileSystem = fileSystem
        super.init(node: node, fileSystem.texts)
    }

    /// Takes the word of a write of `count` bytes, and answers.
    func set(_ word: String, _ reply: consuming Reply, count: Int) { reply.error(.invalid) }

    override func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        guard !isWriteback, bytes.count <= Self.maximumLength else { return reply.error(.invalid) }
        fileSystem.willWrite(node, user: reply.user)
        let trimmed = unsafe bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...]
        unsafe set(String(decoding: trimmed, as: UTF8.self), reply, count: bytes.count)
    }
}

/// `mode`: the tag check mode of an object's programs.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class ModeFile: ControlFile, @unchecked Sendable {
    private let object: ObjectID

    init(_ fileSystem: FileSystem, node: NodeID, _ object: ObjectID) {
        self.object = object
        super.init(fileSystem, node: node)
    }

    override func makeText() -> String { directory.mode(of: object).name + "\n" }

    override func set(_ word: String, _ reply: consuming Reply, count: Int) {
        guard let mode = TagCheckMode(name: word) else { return reply.error(.invalid) }
        directory.changeMode(of: object, to: mode, then: DeferredReply(reply) { $0.written(count) })
    }
}

/// `tfsr`: whether an asynchronous tag check fault happened; 0 clears it.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class TfsrFile: ControlFile, @unchecked Sendable {
    private let object: ObjectID

    init(_ fileSystem: FileSystem, node: NodeID, _ object: ObjectID) {
        self.object = object
        super.init(fileSystem, node: node)
    }

    override func makeText() -> String {
        directory.withObject(object) { $0.memory.hasAsynchronousFault } == true ? "1\n" : "0\n"
    }

    override func set(_ word: String, _ reply: consuming Reply, count: Int) {
        guard word == "0" else { return reply.error(.invalid) }
        _ = directory.withObject(object) { $0.memory.hasAsynchronousFault = false }
        reply.written(count)
    }
}
