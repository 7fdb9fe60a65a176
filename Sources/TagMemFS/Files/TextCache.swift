import DequeModule

/// The bytes of a text file, as they were made.
final class Text: Sendable {
    let node: NodeID
    let bytes: [UInt8]

    init(_ node: NodeID, _ bytes: [UInt8]) {
        self.node = node
        self.bytes = bytes
    }
}

/// The texts that open files are being read from, of the whole file system: bounded in bytes, however many descriptors
/// there are.
///
/// A descriptor refers to its text weakly. The oldest texts are dropped when there are too many bytes; who still reads
/// one has it made anew. Descriptors that are told the same share one text. Thread-safe.
final class TextCache: Sendable {
    /// Bytes that are kept; the newest text is, also if it is longer.
    static let capacity = 4 << 20
    /// What a text costs beside its bytes.
    static let overhead = 128

    private struct State {
        var texts: Deque<Text> = []
        var bytes = 0
        var newest: [NodeID: Text] = [:]
    }

    private let state = Guarded(State())

    /// Bytes that are kept at the moment.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Keeps what a file was made to say just now, for a while.
    func keep(_ bytes: [UInt8], of node: NodeID) -> Text {
        // Compared without the lock: texts do not change.
        if let newest = state.withLock({ $0.newest[node] }), newest.bytes == bytes { return newest }
        let text = Text(node, bytes)
        // What is dropped is freed without the lock, too.
        let dropped = state.withLock { state in
            state.texts.append(text)
            state.bytes += Self.cost(text)
            state.newest[node] = text
            var dropped: [Text] = []
            while state.bytes > Self.capacity, state.texts.count > 1, let oldest = state.texts.popFirst() {
                state.bytes -= Self.cost(oldest)
                if state.newest[oldest.node] === oldest { state.newest[oldest.node] = nil }
                dropped.append(oldest)
            }
            return dropped
        }
        _ = dropped
        return text
    }

    private static func cost(_ text: Text) -> Int { text.bytes.count + overhead }
}
