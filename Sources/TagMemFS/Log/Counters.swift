import Synchronization

/// What `vmstat` counts, in the order of its lines.
enum Counter: Int, CaseIterable {
    case requests
    case requestsQueued
    case reads
    case writes
    case ioctls
    case fills
    case writebacks
    case recalls
    case recallsRepeated
    case readaheadRefusals
    case faults
    case faultsLoad
    case faultsStore
    case faultsMap
    case faultsAsync
    case faultsDropped
    case tagWrites
    case stalls
    case stallMicroseconds
    case backgroundWakes
    case outOfMemory

    var name: String {
        switch self {
        case .requests: "requests"
        case .requestsQueued: "requests_queued"
        case .reads: "direct_reads"
        case .writes: "direct_writes"
        case .ioctls: "ioctls"
        case .fills: "page_fills"
        case .writebacks: "page_writebacks"
        case .recalls: "page_recalls"
        case .recallsRepeated: "page_recalls_repeated"
        case .readaheadRefusals: "readahead_refused"
        case .faults: "tag_check_faults"
        case .faultsLoad: "tag_check_faults_load"
        case .faultsStore: "tag_check_faults_store"
        case .faultsMap: "tag_check_faults_map"
        case .faultsAsync: "tag_check_faults_async"
        case .faultsDropped: "fault_log_dropped"
        case .tagWrites: "tag_writes"
        case .stalls: "allocstall"
        case .stallMicroseconds: "allocstall_us"
        case .backgroundWakes: "compact_daemon_wake"
        case .outOfMemory: "oom"
        }
    }
}

/// Event counts since the mount. Thread-safe; each is exact, together they are not a snapshot.
final class Counters: Sendable {
    private let values: [CounterCell] = Counter.allCases.map { _ in CounterCell() }

    /// Returns what the counter then is.
    @discardableResult
    func add(_ counter: Counter, _ count: Int = 1) -> Int {
        values[counter.rawValue].value.wrappingAdd(count, ordering: .relaxed).newValue
    }

    subscript(counter: Counter) -> Int { values[counter.rawValue].value.load(ordering: .relaxed) }
}

private final class CounterCell: Sendable {
    let value = Atomic(0)
}
