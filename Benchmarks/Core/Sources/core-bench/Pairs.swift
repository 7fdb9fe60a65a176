// A random page is freed and one of the same use allocated, metadata only.
//
// The baseline is what no allocator with a reverse map can do without, and nothing else: the number of a random page is
// read, then the 32 bytes of its block changed, and then the word of the page that is given out stored. Its tables are as
// large as the allocator's. A pair waits for the block of the one before, as it does where the next page is chosen by what
// was freed.
//
// LLFree in C, a random free and an allocation of 4 KiB frames by one thread, as published (two processors, a virtual
// machine): it keeps neither a reverse map nor tags.
import TagMemCore

enum Pairs {
    private static let rounds = 9
    private static let pairs = 100_000
    private static let churn = 1_000_000
    private static let published = [
        "1 GiB": ["77–116", "77–116", "77–116"], "64 GiB": ["213", "1455", "1959"],
    ]

    static func run(_ sizes: [(name: String, bytes: Int)]) throws {
        printHeading(
            "A random page freed and one allocated, a third of the pages tagged, after churn; one thread:",
            [
                "memory, in use", "misses alone, one after the other", "pair", "pair / misses", "untagged",
                "tagged",
                "LLFree, published",
            ])
        for (name, bytes) in sizes { try table(name, bytes) }
    }

    private static func table(_ name: String, _ bytes: Int) throws {
        let percents = [99, 50, 10]
        let columns = try [[.untagged, .untagged, .tagged], [.untagged], [.tagged]].map {
            (uses: [PageUse]) in
            // One mix is enough where tables take seconds to fill.
            uses.count > 1 || bytes <= 64 << 30 ? try measure(bytes, uses, percents) : []
        }
        for index in percents.indices.reversed() {
            let (misses, mixed) = columns[0][index]
            let others = columns[1...].map { $0.isEmpty ? "–" : nanoseconds(median($0[index].pairs)) }
            printRow(
                [
                    "\(name), \(percents[index]) %", nanoseconds(median(misses)), nanoseconds(median(mixed)),
                    number(ratio(mixed, to: misses), digits: 2),
                ] + others
                    + [published[name].map { $0[percents.count - 1 - index] + " ns" } ?? "–"])
        }
    }

    private static func measure(
        _ bytes: Int, _ uses: [PageUse], _ percents: [Int]
    ) throws -> [(misses: [Double], pairs: [Double])] {
        var population = try Population(bytes: bytes, uses: uses)
        let baseline = Misses(blocks: population.allocator.layout.blocks)
        try population.fill()
        return try percents.map { percent in
            try population.thin(to: percent, churn: min(churn, population.total))
            var (misses, pairs): ([Double], [Double]) = ([], [])
            for _ in 0..<rounds {
                misses.append(time(Self.pairs) { baseline.run(Self.pairs, &population) })
                try pairs.append(
                    time(Self.pairs) {
                        for _ in 0..<Self.pairs {
                            try population.exchange(population.random.next(below: population.count))
                        }
                    })
            }
            return (misses, pairs)
        }
    }
}

/// The cache misses of a pair.
struct Misses: ~Copyable {
    private let records: Table<SIMD4<UInt64>>
    private let entries: Table<UInt64>

    init(blocks: Int) {
        records = Table(count: blocks)
        entries = Table(count: blocks * 33)
        // Committed, as the allocator's are.
        unsafe records.elements.update(repeating: SIMD4(repeating: 0))
        unsafe entries.elements.update(repeating: 0)
    }

    func run(_ count: Int, _ population: inout Population) {
        for _ in 0..<count {
            let index = population.random.next(below: population.count)
            let raw = unsafe population.frames.elements[index]
            let (block, position) = (Int(raw & ~(1 << 31)) >> 6, Int(raw & 63))
            var record = unsafe records.elements[block]
            // The page given out depends on the record, and so does where its word is.
            let free = Int(truncatingIfNeeded: record[0] >> 63)
            record[0] = (record[0] &+ 1) & ~(1 << 63)
            unsafe records.elements[block] = record
            unsafe entries.elements[block * 33 + min(position + free, 32)] = UInt64(index)
            unsafe population.frames.elements[index] = raw | UInt32(truncatingIfNeeded: free)
            population.random.state ^= UInt64(free)
        }
    }
}
