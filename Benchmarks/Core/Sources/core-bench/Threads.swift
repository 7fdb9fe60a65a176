// One allocator under its owner's lock, used by one thread and by two: a random page freed and one allocated, and a small
// batch of such pairs for each time that the lock is taken, as the file system does for a request.
import Dispatch
import Synchronization
import TagMemCore

enum Threads {
    private static let rounds = 9
    private static let pairs = 96_000

    static func run() throws {
        printHeading(
            "Threads that share an allocator under a lock, 1 GiB half full: wall time for a pair of all threads together:",
            ["pairs each time that the lock is held", "one thread", "two threads", "two / one"])
        let shared = try Shared()
        for batch in [1, 16, 64] {
            var times: [[Double]] = [[], []]
            for _ in 0..<rounds {
                for threads in 1...2 { times[threads - 1].append(shared.run(threads, batch: batch, pairs)) }
            }
            printRow([
                "\(batch)", nanoseconds(median(times[0])), nanoseconds(median(times[1])),
                number(ratio(times[1], to: times[0]), digits: 2),
            ])
        }
    }

    private final class Shared: Sendable {
        private let population: Mutex<Population>

        init() throws {
            var population = try Population(bytes: 1 << 30, uses: [.untagged, .untagged, .tagged])
            try population.fill()
            try population.thin(to: 50, churn: 1_000_000)
            self.population = Mutex(population)
        }

        /// Wall time a pair.
        func run(_ threads: Int, batch: Int, _ pairs: Int) -> Double {
            let start = Clock.wall()
            DispatchQueue.concurrentPerform(iterations: threads) { _ in
                for _ in 0..<pairs / threads / batch {
                    population.withLock { population in
                        for _ in 0..<batch {
                            let index = population.random.next(below: population.count)
                            do { try population.exchange(index) } catch { preconditionFailure("\(error)") }
                        }
                    }
                }
            }
            return (Clock.wall() - start) / Double(pairs)
        }
    }
}
