import CFuse
import Glibc

/// `faults`: the log of tag check faults, from the oldest line that is kept.
///
/// Offsets are positions in the whole log since the mount, so that `tail -f` goes on where it was. A reader that asks
/// for what has been dropped is moved on to the oldest line.
final class FaultsFile: OpenFile, FaultWatcher, @unchecked Sendable {
    private let log: FaultLog
    private let state = Guarded(State())

    private struct State {
        /// The log's position of the file's offset 0, for this reader.
        var shift = 0
        /// How far this reader has come in the log.
        var position = 0
        var pollHandle = unsafe PollHandle()
    }

    init(node: NodeID, log: FaultLog) {
        self.log = log
        super.init(node: node)
    }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        guard let offset = Int(exactly: offset), offset < Int.max / 2 else {
            return reply.endOfFile()
        }
        let bytes = state.withLock { state in
            let (position, bytes) = log.read(at: offset + state.shift, size: size)
            if position > offset + state.shift { state.shift = position - offset }
            state.position = max(state.position, position + bytes.count)
            return bytes
        }
        reply.bytes(bytes)
    }

    override func poll(_ reply: consuming Reply, _ handle: OpaquePointer?) {
        let new = unsafe PollHandle(handle)
        let position = state.withLock { state in
            if unsafe handle != nil { state.pollHandle.replace(with: new) }
            return state.position
        }
        let isReady = unsafe handle == nil ? log.extent.end > position : log.watch(from: position, self)
        reply.events(isReady ? UInt32(POLLIN | POLLRDNORM) : 0)
    }

    func faultsWereRecorded() { state.withLock { $0.pollHandle.take() }.notify() }

    override func released() {
        log.stopWatching(self)
        state.withLock { unsafe $0.pollHandle.replace(with: PollHandle()) }
    }
}

/// The kernel's handle of somebody who polls a file, if there is one.
private struct PollHandle: Sendable {
    // SAFETY: an address of libfuse's, owned by whoever holds this value; given up by `notify` or `replace`.
    private var address: UInt = 0

    init(_ handle: OpaquePointer? = nil) { address = UInt(bitPattern: handle) }

    mutating func take() -> PollHandle {
        defer { address = 0 }
        return self
    }

    mutating func replace(with new: PollHandle) {
        if let old = unsafe OpaquePointer(bitPattern: address) { unsafe fuse_pollhandle_destroy(old) }
        self = new
    }

    /// Tells the kernel that the file is ready, and gives the handle up.
    func notify() {
        guard let handle = unsafe OpaquePointer(bitPattern: address) else { return }
        unsafe fuse_lowlevel_notify_poll(handle)
        unsafe fuse_pollhandle_destroy(handle)
    }
}

/// `faults_pipe`: the same lines, each read once. A read waits for a line.
final class FaultsPipeFile: OpenFile, FaultWatcher, @unchecked Sendable {
    private let log: FaultLog
    private let pollHandle = unsafe Guarded(PollHandle())

    init(node: NodeID, log: FaultLog) {
        self.log = log
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

    override func poll(_ reply: consuming Reply, _ handle: OpaquePointer?) {
        if unsafe handle != nil {
            let new = unsafe PollHandle(handle)
            pollHandle.withLock { $0.replace(with: new) }
            _ = log.watch(from: log.pipePosition, self)
        }
        reply.events(log.hasUnconsumed ? UInt32(POLLIN | POLLRDNORM) : 0)
    }

    func faultsWereRecorded() { pollHandle.withLock { $0.take() }.notify() }

    override func released() {
        log.stopWatching(self)
        pollHandle.withLock { unsafe $0.replace(with: PollHandle()) }
    }
}

/// A read of the pipe that may wait, and that its interruption ends.
@safe
private final class PipeReadRequest: PipeRead, @unchecked Sendable {
    let size: Int
    let waits: Bool
    let identity: OpaquePointer
    private let log: FaultLog
    private let reply: Guarded<ReplySlot>

    private struct ReplySlot: ~Copyable {
        var reply: Reply?
    }

    init(_ reply: consuming Reply, size: Int, waits: Bool, log: FaultLog) {
        self.size = size
        self.waits = waits
        self.log = log
        unsafe identity = unsafe reply.handle
        self.reply = Guarded(ReplySlot(reply: consume reply))
    }

    func start() {
        if waits {
            // The log outlives every request, and finds the read by the request, which lives during the callback.
            unsafe fuse_req_interrupt_func(
                identity,
                { request, data in
                    guard let data = unsafe data, let request = unsafe request else { return }
                    unsafe Unmanaged<FaultLog>.fromOpaque(data).takeUnretainedValue().interrupt(request)
                }, unsafe Unmanaged.passUnretained(log).toOpaque())
        }
        log.consume(self)
    }

    var isInterrupted: Bool { unsafe fuse_req_interrupted(identity) != 0 }

    func succeed(_ bytes: [UInt8]) -> Bool {
        guard let reply = takeReply() else { return false }
        return reply.bytes(bytes)
    }

    func fail(_ error: FileError) {
        guard let reply = takeReply() else { return }
        reply.error(error)
    }

    private func takeReply() -> Reply? {
        let reply = reply.withLock { $0.reply.take() }
        return reply
    }
}
