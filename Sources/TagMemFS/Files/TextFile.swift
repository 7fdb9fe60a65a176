import TagMemCore

/// A file whose text is made when it is read from its beginning.
class TextFile: OpenFile, @unchecked Sendable {
    private let text = Guarded<[UInt8]>([])

    func makeText() -> String { "" }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        let bytes = text.withLock { text in
            if offset == 0 { text = Array(makeText().utf8) }
            guard offset < text.count else { return [UInt8]() }
            return Array(text[Int(offset)...].prefix(size))
        }
        reply.bytes(bytes)
    }
}

/// A text file that says what somebody else knows.
final class ReportFile: TextFile, @unchecked Sendable {
    private let make: @Sendable () -> String

    init(node: NodeID, _ make: @escaping @Sendable () -> String) {
        self.make = make
        super.init(node: node)
    }

    override func makeText() -> String { make() }
}

/// A text file that takes one word.
class ControlFile: TextFile, @unchecked Sendable {
    /// Longest value that is looked at, in bytes.
    private static let maximumLength = 512

    /// Takes the word of a write of `count` bytes, and answers.
    func set(_ word: String, _ reply: consuming Reply, count: Int) { reply.error(.invalid) }

    override func write(
        _ reply: consuming Reply, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, isWriteback: Bool
    ) {
        guard !isWriteback, bytes.count <= Self.maximumLength else { return reply.error(.invalid) }
        let trimmed = unsafe bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...]
        unsafe set(String(decoding: trimmed, as: UTF8.self), reply, count: bytes.count)
    }
}

/// `mode`: the tag check mode of an object's programs.
final class ModeFile: ControlFile, @unchecked Sendable {
    private let object: ObjectID
    private let directory: CoherenceDirectory

    init(node: NodeID, _ object: ObjectID, _ directory: CoherenceDirectory) {
        self.object = object
        self.directory = directory
        super.init(node: node)
    }

    override func makeText() -> String { directory.mode(of: object).name + "\n" }

    override func set(_ word: String, _ reply: consuming Reply, count: Int) {
        guard let mode = TagCheckMode(name: word) else { return reply.error(.invalid) }
        directory.changeMode(of: object, to: mode, then: DeferredReply(reply) { $0.written(count) })
    }
}

/// `tfsr`: whether an asynchronous tag check fault happened; 0 clears it.
final class TfsrFile: ControlFile, @unchecked Sendable {
    private let object: ObjectID
    private let directory: CoherenceDirectory

    init(node: NodeID, _ object: ObjectID, _ directory: CoherenceDirectory) {
        self.object = object
        self.directory = directory
        super.init(node: node)
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
