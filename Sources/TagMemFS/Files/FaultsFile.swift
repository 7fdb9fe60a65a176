import Glibc

/// `faults`: the log of tag check faults, from the oldest line that is kept.
///
/// Offsets are positions in the whole log since the mount, so that `tail -f` goes on where it was. A reader that asks
/// for what has been dropped is moved on to the oldest line.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class FaultsFile: OpenFile, @unchecked Sendable {
    private let log: FaultLog
    private let pollers: FaultPoll
    private let state = Guarded(State())

    private struct State {
        /// The log's position of the file's offset 0, for this reader.
        var shift = 0
        /// How far this reader has come in the log.
        var position = 0
    }

    init(node: NodeID, log: FaultLog, _ directory: CoherenceDirectory) {
        self.log = log
        pollers = FaultPoll(log, directory)
        super.init(node: node)
    }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        guard let offset = Int(exactly: offset), offset < Int.max / 2 else {
            return reply.endOfFile()
        }
        let wanted = offset + state.withLock { $0.shift }
        let (position, bytes) = log.read(at: wanted, size: size)
        state.withLock { state in
            if position > wanted { state.shift = max(state.shift, position - offset) }
            state.position = max(state.position, position + bytes.count)
        }
        reply.bytes(bytes)
    }

    override func poll(_ reply: consuming Reply, _ watcher: (any PollWatcher)?) {
        pollers.begin(watcher)
        let position = state.withLock { $0.position }
        reply.events(log.extent.end > position ? UInt32(POLLIN | POLLRDNORM) : 0)
    }

    override func released() { pollers.end() }
}

/// `faults_pipe`: the same lines, each read once. A read waits for a line.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class FaultsPipeFile: OpenFile, @unchecked Sendable {
    private let log: FaultLog
    private let pollers: FaultPoll

    init(node: NodeID, log: FaultLog, _ directory: CoherenceDirectory) {
        self.log = log
        pollers = FaultPoll(log, directory)
        super.init(node: node)
    }

    override var options: Options { Options(isStream: true) }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill || size == 0 { return reply.error(.notSupported) }
        let request = PipeReadRequest(reply, size: size, waits: !isNonblocking, log: log)
        request.start()
    }

    override func poll(_ reply: consuming Reply, _ watcher: (any PollWatcher)?) {
        pollers.begin(watcher)
        reply.events(log.hasUnconsumed ? UInt32(POLLIN | POLLRDNORM) : 0)
    }

    override func released() { pollers.end() }
}

/// A read of the pipe that may wait, and that its interruption ends.
private final class PipeReadRequest: PipeRead {
    let size: Int
    let waits: Bool
    let identity: RequestToken
    private let log: FaultLog
    private let sink: any ReplySink
    private let reply: ReplySlot

    init(_ reply: consuming Reply, size: Int, waits: Bool, log: FaultLog) {
        self.size = size
        self.waits = waits
        self.log = log
        identity = reply.request
        sink = reply.sink
        self.reply = ReplySlot(reply)
    }

    func start() {
        // The log finds the read by the request.
        if waits { sink.onInterruption(of: identity, tell: log) }
        log.consume(self)
    }

    var isInterrupted: Bool { sink.isInterrupted(identity) }

    func succeed(_ bytes: [UInt8]) -> Bool {
        guard let reply = reply.take() else { return false }
        return reply.bytes(bytes)
    }

    func fail(_ error: FileError) { reply.take()?.error(error) }
}
