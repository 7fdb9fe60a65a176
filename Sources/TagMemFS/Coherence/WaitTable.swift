import DequeModule

/// Names an access that waits.
struct WaitTicket: Hashable, Comparable, Sendable {
    fileprivate let number: UInt64

    static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// An access that waits. Known to the directory's state alone, and when it is decided to whoever runs its operation: to
/// one thread at a time.
///
/// It takes its places one after the other, in the order of its claims' lines, which is the same for all: so no two wait
/// for each other. A line where it has its place is reserved: what comes later queues up behind it. Where something is in
/// its way, it is parked, and found again by whoever ends that.
final class Waiter {
    /// Where it is parked.
    enum Place: Equatable {
        case line(Int)
        /// Until the mode of its object is changed.
        case mode
        /// Until a job has got it its pages.
        case pages
        /// It is looked at now, or decided.
        case none
    }

    let ticket: WaitTicket
    var access: MemoryAccess
    var place = Place.none
    /// Claims, and lines of the next one, that have its place.
    var claim = 0
    var line = 0
    /// Whether it also has its place on the line that comes next.
    var hasNext = false
    /// Whether its alias has its page already, whose lock the kernel may hold: it takes no places, and goes ahead.
    var isRefill = false
    /// Set when it is decided before its operation is known.
    var grant: Grant?
    var operation: (any DeferredOperation)?

    init(_ ticket: WaitTicket, _ access: MemoryAccess) {
        self.ticket = ticket
        self.access = access
    }
}

/// Who waits, and where.
struct WaitTable {
    private(set) var waiters: [WaitTicket: Waiter] = [:]
    private var nextNumber: UInt64 = 0
    /// Who is parked at a line: first those who go on first.
    private var parked: [Int: Deque<WaitTicket>] = [:]
    /// Those parked there whose page's lock the kernel holds, and which are ahead of all others: what the first of the
    /// others waits for may be a recall that waits for that lock.
    private var refills: [Int: [WaitTicket]] = [:]
    /// Jobs that wait for lines.
    private var jobs: [Int: [JobTask]] = [:]
    /// How many jobs wait for a line to be theirs.
    private var claims: [Int: Int] = [:]

    /// Bytes of writes that wait, and fills that do.
    private(set) var bytes = 0
    private(set) var fills = 0
    var maximumFills = Int.max
    private var users: [UInt32: Share] = [:]

    private struct Share {
        var requests = 0
        var bytes = 0
    }

    /// Bytes of waiting writes that are kept at most.
    static let maximumBytes = 64 << 20
    /// Requests that wait at most. Each costs about a kilobyte, and lines of a large one a few more.
    static let maximumRequests = 16384
    /// What one user has of that: three quarters.
    static func share(_ whole: Int) -> Int { whole / 4 * 3 }

    subscript(ticket: WaitTicket) -> Waiter? { waiters[ticket] }
    var count: Int { waiters.count }
    var tickets: [WaitTicket] { waiters.keys.sorted() }

    // MARK: Coming and going

    /// Whether there is room for another access.
    func hasRoom(for access: MemoryAccess) -> Bool {
        let own = users[access.user] ?? Share()
        guard waiters.count < Self.maximumRequests, own.requests < Self.share(Self.maximumRequests) else {
            return false
        }
        if access.isFill, fills >= maximumFills { return false }
        let kept = access.keptBytes
        return kept == 0
            || bytes + kept <= Self.maximumBytes && own.bytes + kept <= Self.share(Self.maximumBytes)
    }

    mutating func add(_ access: MemoryAccess) -> Waiter {
        nextNumber += 1
        let waiter = Waiter(WaitTicket(number: nextNumber), access)
        waiters[waiter.ticket] = waiter
        count(access, 1)
        return waiter
    }

    /// The waiter waits no more. Its ticket is known until its operation is.
    mutating func leave(_ waiter: Waiter) {
        count(waiter.access, -1)
        if waiter.operation != nil { forget(waiter) }
    }

    mutating func forget(_ waiter: Waiter) { waiters[waiter.ticket] = nil }

    private mutating func count(_ access: MemoryAccess, _ change: Int) {
        bytes += change * access.keptBytes
        if access.isFill { fills += change }
        var own = users[access.user] ?? Share()
        own.requests += change
        own.bytes += change * access.keptBytes
        users[access.user] = own.requests == 0 ? nil : own
    }

    // MARK: Lines

    mutating func park(_ waiter: Waiter, at line: Int, first: Bool) {
        waiter.place = .line(line)
        if waiter.isRefill {
            refills[line, default: []].append(waiter.ticket)
        } else if first {
            parked[line, default: []].prepend(waiter.ticket)
        } else {
            parked[line, default: []].append(waiter.ticket)
        }
    }

    /// The next who is to be looked at, at a line.
    mutating func takeFirst(at line: Int) -> Waiter? {
        guard let ticket = parked[line]?.popFirst() else { return nil }
        if parked[line]?.isEmpty == true { parked[line] = nil }
        return waiters[ticket]
    }

    /// Those who are to be looked at before all others.
    mutating func takeRefills(at line: Int) -> [Waiter] {
        guard !refills.isEmpty else { return [] }
        return (refills.removeValue(forKey: line) ?? []).compactMap { waiters[$0] }
    }

    /// Returns the line where it was parked.
    mutating func unpark(_ waiter: Waiter) -> Int? {
        defer { waiter.place = .none }
        guard case .line(let line) = waiter.place else { return nil }
        parked[line]?.removeAll { $0 == waiter.ticket }
        if parked[line]?.isEmpty == true { parked[line] = nil }
        refills[line]?.removeAll { $0 == waiter.ticket }
        if refills[line]?.isEmpty == true { refills[line] = nil }
        return line
    }

    func isAwaited(_ line: Int) -> Bool {
        parked[line] != nil || jobs[line] != nil || refills[line] != nil
    }
    /// Who is the first of those that are not ahead of all others.
    func firstParked(at line: Int) -> WaitTicket? { parked[line]?.first }
    func parkedAt(_ line: Int) -> [WaitTicket] {
        (refills[line] ?? []) + (parked[line].map { Array($0) } ?? [])
    }

    // MARK: Jobs

    mutating func park(_ job: JobTask, at line: Int) { jobs[line, default: []].append(job) }
    mutating func takeJobs(at line: Int) -> [JobTask] { jobs.removeValue(forKey: line) ?? [] }

    /// Counts the jobs that are to have a line. Returns how many there are.
    mutating func claim(_ line: Int, _ change: Int) -> Int {
        let count = (claims[line] ?? 0) + change
        claims[line] = count == 0 ? nil : count
        return count
    }
    var claimedLines: Set<Int> { Set(claims.keys) }
}
