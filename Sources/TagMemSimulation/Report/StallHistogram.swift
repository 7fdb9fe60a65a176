/// How many pages allocations had to move before they had theirs.
struct StallHistogram {
    /// Allocations by pages moved, the last one being all from there on.
    private var counts: [Int] = []
    private static let limit = 4096

    private(set) var allocations = 0
    private(set) var pagesMoved = 0
    private(set) var most = 0

    mutating func append(pagesMoved moved: Int) {
        let bin = min(moved, Self.limit)
        if bin >= counts.count { counts += Array(repeating: 0, count: bin + 1 - counts.count) }
        counts[bin] += 1
        allocations += 1
        pagesMoved += moved
        most = max(most, moved)
    }

    /// Allocations that had to move any.
    var stalled: Int { allocations - (counts.first ?? 0) }

    /// The least number of pages that `percent` of 100 allocations did not exceed. 0 without any.
    func percentile(_ percent: Int) -> Int {
        // ceil(allocations * percent / 100), without a product that could be too large.
        let rank = allocations / 100 * percent + (allocations % 100 * percent + 99) / 100
        var seen = 0
        for (moved, count) in counts.enumerated() {
            seen += count
            if seen >= rank { return moved == Self.limit ? most : moved }
        }
        return most
    }
}
