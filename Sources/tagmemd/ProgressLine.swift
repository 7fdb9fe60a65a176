import Glibc

/// A line on stderr that says how far a long command is, if stderr is a terminal; otherwise nothing at all.
struct ProgressLine {
    private let isShown = isatty(STDERR_FILENO) == 1
    private let clock = ContinuousClock()
    private var nextTime = ContinuousClock.now
    private var isThere = false

    /// - Parameter total: nil if it is not known when it will end.
    mutating func show(_ name: String, _ done: Int, of total: Int?) {
        guard isShown, clock.now >= nextTime else { return }
        nextTime = clock.now + .milliseconds(100)
        let amount = total.map { "\(min(100, done * 100 / $0)) %" } ?? "\(done) events"
        // Back to the line's start, and clear what the last one has left.
        print("\r\u{1b}[K\(name): \(amount)")
        isThere = true
    }

    /// Takes the line away.
    mutating func end() {
        if isThere { print("\r\u{1b}[K") }
        isThere = false
    }

    private func print(_ text: String) {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
