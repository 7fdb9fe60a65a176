// Clocks, medians, and tables in Markdown.
import Glibc

enum Clock {
    /// Nanoseconds of wall time.
    static func wall() -> Double { read(CLOCK_MONOTONIC) }

    /// Nanoseconds of this thread's processor time: what others do on the machine is not counted, save for the caches.
    static func thread() -> Double { read(CLOCK_THREAD_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

/// Nanoseconds of this thread that one of `count` steps of `body` takes.
func time(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
    let start = Clock.thread()
    try body()
    return (Clock.thread() - start) / Double(count)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// The median of the rounds' ratios: each compares two neighbours in time.
func ratio(_ measured: [Double], to baseline: [Double]) -> Double {
    median(zip(measured, baseline).map { $0 / $1 })
}

func number(_ value: Double, digits: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((value * scale).rounded())
    if digits == 0 { return "\(scaled)" }
    let fraction = "\(Int(scale) + scaled % Int(scale))".dropFirst()
    return "\(scaled / Int(scale)).\(fraction)"
}

func nanoseconds(_ value: Double) -> String { "\(number(value)) ns" }

func printRow(_ cells: [String]) {
    print("| " + cells.joined(separator: " | ") + " |")
    // Every stream: rows are seen as they come, in a pipe, too.
    fflush(nil)
}

/// A table's heading: the first column is text, the others are numbers.
func printHeading(_ title: String, _ columns: [String]) {
    print("\n\(title)\n")
    printRow(columns)
    printRow(columns.indices.map { $0 == 0 ? ":--" : "--:" })
}
