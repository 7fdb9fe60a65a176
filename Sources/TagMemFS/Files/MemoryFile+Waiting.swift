import TagMemCore

/// A read that waits for its turn.
final class DeferredRead: DeferredOperation, @unchecked Sendable {
    private let file: MemoryFile
    private var reply: Reply?
    private let access: MemoryAccess

    init(_ file: MemoryFile, _ reply: consuming Reply, _ access: MemoryAccess) {
        self.file = file
        self.reply = consume reply
        self.access = access
    }

    func run(_ grant: Grant) {
        guard let reply = reply.take() else { return }
        file.finishRead(reply, access, grant)
    }
}

/// A write that waits for its turn, with its bytes.
final class DeferredWrite: DeferredOperation, @unchecked Sendable {
    private let file: MemoryFile
    private var reply: Reply?
    private let bytes: [UInt8]
    private let access: MemoryAccess

    init(
        _ file: MemoryFile, _ reply: consuming Reply, _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess
    ) {
        self.file = file
        self.reply = consume reply
        self.bytes = unsafe Array(bytes)
        self.access = access
    }

    func run(_ grant: Grant) {
        guard let reply = reply.take() else { return }
        var answer: Reply? = consume reply
        unsafe bytes.withUnsafeBytes { bytes in
            guard let reply = answer.take() else { return }
            unsafe file.finishWrite(reply, bytes, access, grant)
        }
    }
}

/// An answer that waits, and that needs nothing to be done before it is given.
final class DeferredReply: DeferredOperation, @unchecked Sendable {
    private var reply: Reply?
    private let answer: @Sendable (consuming Reply) -> Void
    private let onFailure: @Sendable () -> Void

    /// On failure the error is the answer, after `onFailure`.
    init(
        _ reply: consuming Reply, onFailure: @escaping @Sendable () -> Void = {},
        _ answer: @escaping @Sendable (consuming Reply) -> Void
    ) {
        self.reply = consume reply
        self.answer = answer
        self.onFailure = onFailure
    }

    func run(_ grant: Grant) {
        guard let reply = reply.take() else { return }
        if case .failed(let error) = grant {
            onFailure()
            reply.error(error)
        } else {
            answer(reply)
        }
    }
}
