import TagMemCore

/// A read that waits for its turn.
final class DeferredRead: DeferredOperation {
    private let file: MemoryFile
    private let reply: ReplySlot

    init(_ file: MemoryFile, _ reply: consuming Reply) {
        self.file = file
        self.reply = ReplySlot(reply)
    }

    func run(_ grant: Grant, _ access: MemoryAccess) {
        guard let reply = reply.take() else { return }
        file.finishRead(reply, access, grant)
    }
}

/// A write that waits for its turn, with its bytes.
final class DeferredWrite: DeferredOperation {
    private let file: MemoryFile
    private let reply: ReplySlot
    private let bytes: [UInt8]

    init(_ file: MemoryFile, _ reply: consuming Reply, _ bytes: UnsafeRawBufferPointer) {
        self.file = file
        self.reply = ReplySlot(reply)
        self.bytes = unsafe Array(bytes)
    }

    func run(_ grant: Grant, _ access: MemoryAccess) {
        unsafe bytes.withUnsafeBytes { bytes in
            guard let reply = reply.take() else { return }
            unsafe file.finishWrite(reply, bytes, access, grant)
        }
    }
}

/// An answer that waits, and that needs nothing to be done before it is given.
final class DeferredReply: Completion {
    private let reply: ReplySlot
    private let answer: @Sendable (consuming Reply) -> Void
    private let onFailure: @Sendable () -> Void

    /// On failure the error is the answer, after `onFailure`.
    init(
        _ reply: consuming Reply, onFailure: @escaping @Sendable () -> Void = {},
        _ answer: @escaping @Sendable (consuming Reply) -> Void
    ) {
        self.reply = ReplySlot(reply)
        self.answer = answer
        self.onFailure = onFailure
    }

    func run(_ error: FileError?) {
        guard let reply = reply.take() else { return }
        if let error {
            onFailure()
            reply.error(error)
        } else {
            answer(reply)
        }
    }
}

/// A reply that waits: taken once, by whichever thread comes first.
final class ReplySlot: Sendable {
    private let slot: Guarded<Slot>

    private struct Slot: ~Copyable {
        var reply: Reply?
    }

    init(_ reply: consuming Reply) { slot = Guarded(Slot(reply: consume reply)) }

    func take() -> Reply? { slot.withLock { $0.reply.take() } }
}
