// Pages in a row, as truncate takes them: memory fills up from nothing.
import Glibc
import TagMemCore

enum Fill {
    static func run(_ sizes: [(name: String, bytes: Int)]) throws {
        printHeading(
            "A page while memory fills up, metadata only; 4 KiB set to zero, as every page is, for comparison:",
            [
                "memory", "4 KiB zeroed", "first fill, tables committed", "again, untagged", "again, tagged",
                "freed",
            ])
        for (name, bytes) in sizes {
            var cells: [String] = []
            var freed = 0.0
            for use in PageUse.allCases {
                var population = try Population(bytes: bytes, uses: [use])
                let total = population.total
                // The caller's list of frames is committed before, and not what is measured.
                unsafe population.frames.elements.update(repeating: 0)
                let first = try time(total) { try population.fill() }
                if use == .untagged { cells.append(nanoseconds(first)) }
                var again: [Double] = []
                for _ in 0..<(bytes <= 1 << 30 ? 9 : 3) {
                    freed = time(total) { population.empty() }
                    again.append(try time(total) { try population.fill() })
                }
                cells.append(nanoseconds(median(again)))
            }
            printRow([name, nanoseconds(zeroing())] + cells + [nanoseconds(freed)])
        }
    }

    private static func zeroing() -> Double {
        let pages = 16384
        let memory = Table<SIMD64<UInt8>>(count: pages * 64)
        let times = (0..<6).map { _ in
            time(pages) { for page in 0..<pages { unsafe memset(memory.base + page * 4096, 0, 4096) } }
        }
        // The first commits the memory.
        return median(Array(times.dropFirst()))
    }
}
