import Glibc
import TagMemCore

/// The tag check faults: a bounded ring of lines, as a stream of bytes whose old part is dropped.
///
/// Offsets are positions in the whole stream, since the mount. Thread-safe; readers never hold up a fault.
final class FaultLog: Sendable {
    /// Bytes of lines that are kept.
    static let capacity = 1 << 20

    private let counters: Counters
    private let state = Guarded(State())

    private struct State {
        /// The stream's bytes from `start` on; cut at a line's beginning when it grows too long.
        var bytes: [UInt8] = []
        var start = 0
        var sequence: UInt64 = 0
        /// How far the readers of the pipe have come.
        var pipePosition = 0
        var pipeReaders: [any PipeRead] = []
        var watchers: [any FaultWatcher] = []

        var end: Int { start + bytes.count }
    }

    init(counters: Counters) { self.counters = counters }

    /// Appends a fault and wakes those who wait for one.
    func record(_ fault: TagCheckFault) {
        counters.add(.faults)
        switch fault.access {
        case .load: counters.add(.faultsLoad)
        case .store: counters.add(.faultsStore)
        case .map: counters.add(.faultsMap)
        }
        if fault.mode.effect(onStore: fault.access == .store) == .deferredFault { counters.add(.faultsAsync) }
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let (reads, watchers): ([(any PipeRead, [UInt8])], [any FaultWatcher]) = state.withLock { state in
            state.bytes.append(contentsOf: fault.line(sequence: state.sequence, time: time).utf8)
            state.sequence += 1
            if state.bytes.count > Self.capacity { drop(&state) }
            var reads: [(any PipeRead, [UInt8])] = []
            while !state.pipeReaders.isEmpty, state.pipePosition < state.end {
                let reader = state.pipeReaders.removeFirst()
                reads.append((reader, takeFromPipe(reader.size, &state)))
            }
            return (reads, state.watchers)
        }
        for (reader, bytes) in reads { deliver(bytes, to: reader) }
        for watcher in watchers { watcher.faultsWereRecorded() }
    }

    /// The positions behind the last byte and of the oldest that is kept.
    var extent: (start: Int, end: Int) { state.withLock { ($0.start, $0.end) } }

    /// Up to `size` bytes from `position`, or from the oldest that is kept; and where they begin.
    func read(at position: Int, size: Int) -> (position: Int, bytes: [UInt8]) {
        state.withLock { state in
            let first = min(max(position, state.start), state.end)
            let count = min(size, state.end - first)
            return (first, Array(state.bytes[(first - state.start)..<(first - state.start + count)]))
        }
    }

    /// Has the watcher called at every fault from now on.
    func watch(_ watcher: any FaultWatcher) {
        state.withLock { state in
            if !state.watchers.contains(where: { $0 === watcher }) { state.watchers.append(watcher) }
        }
    }

    func stopWatching(_ watcher: any FaultWatcher) {
        state.withLock { $0.watchers.removeAll { $0 === watcher } }
    }

    // MARK: The pipe: every line goes to one reader

    var hasUnconsumed: Bool { state.withLock { $0.pipePosition < $0.end } }

    /// Delivers lines nobody has consumed yet, at once or, if the reader waits, when there are some.
    func consume(_ reader: any PipeRead) {
        let outcome: Result<[UInt8], FileError>? = state.withLock { state in
            if state.pipePosition < state.end { return .success(takeFromPipe(reader.size, &state)) }
            guard reader.waits else { return .failure(.wouldBlock) }
            // An interruption that came before finds no reader in the queue; one that comes later does.
            if reader.isInterrupted { return .failure(.interrupted) }
            state.pipeReaders.append(reader)
            return nil
        }
        switch outcome {
        case .success(let bytes): deliver(bytes, to: reader)
        case .failure(let error): reader.fail(error)
        case nil: break
        }
    }

    /// Ends the wait of the read with this identity with EINTR, if it waits.
    func interrupt(_ identity: RequestToken) {
        let reader = state.withLock { state -> (any PipeRead)? in
            guard let index = state.pipeReaders.firstIndex(where: { $0.identity == identity }) else {
                return nil
            }
            return state.pipeReaders.remove(at: index)
        }
        reader?.fail(.interrupted)
    }

    /// Ends all waits.
    func drain() {
        let readers = state.withLock { state in
            defer { state.pipeReaders = [] }
            return state.pipeReaders
        }
        for reader in readers { reader.fail(.unmounting) }
    }

    private func deliver(_ bytes: [UInt8], to reader: any PipeRead) {
        var (reader, bytes) = (reader, bytes)
        while !reader.succeed(bytes) {
            // The reader was gone: its lines are the next one's, if none has been given out since.
            let next: (any PipeRead, [UInt8])? = state.withLock { state in
                let begin = state.pipePosition - bytes.count
                guard begin >= state.start,
                    Array(state.bytes[(begin - state.start)...].prefix(bytes.count)) == bytes
                else { return nil }
                state.pipePosition = begin
                guard !state.pipeReaders.isEmpty else { return nil }
                let next = state.pipeReaders.removeFirst()
                return (next, takeFromPipe(next.size, &state))
            }
            guard let next else { return }
            (reader, bytes) = next
        }
    }

    /// Whole lines, up to `size` bytes; a part of one where even the first is longer.
    private func takeFromPipe(_ size: Int, _ state: inout State) -> [UInt8] {
        let from = state.pipePosition - state.start
        var slice = state.bytes[from...].prefix(size)
        if slice.count == size, let newline = slice.lastIndex(of: UInt8(ascii: "\n")) {
            slice = slice[...newline]
        }
        state.pipePosition += slice.count
        return Array(slice)
    }

    /// Drops the older half of the lines.
    private func drop(_ state: inout State) {
        let half = state.bytes.count / 2
        let cut = (state.bytes[half...].firstIndex(of: UInt8(ascii: "\n")) ?? state.bytes.count - 1) + 1
        counters.add(.faultsDropped, state.bytes[..<cut].count { $0 == UInt8(ascii: "\n") })
        state.bytes.removeFirst(cut)
        state.start += cut
        state.pipePosition = max(state.pipePosition, state.start)
    }
}

/// Somebody who polls the log.
protocol FaultWatcher: AnyObject, Sendable {
    /// Called on the thread that serves the access: it must not wait.
    func faultsWereRecorded()
}

/// A read of the pipe.
protocol PipeRead: AnyObject, Sendable {
    var size: Int { get }
    /// Whether to wait for a line (no O_NONBLOCK).
    var waits: Bool { get }
    /// The request, as an identity.
    var identity: RequestToken { get }
    /// Whether the reader does not wait any more. Asked only while the request is unanswered.
    var isInterrupted: Bool { get }
    /// Replies; false if the reader was gone.
    func succeed(_ bytes: [UInt8]) -> Bool
    func fail(_ error: FileError)
}
