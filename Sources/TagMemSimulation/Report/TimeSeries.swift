/// A run over time in bounded memory: sums over stretches of equally many events, which double as the run grows.
struct TimeSeries {
    struct Stretch: Equatable {
        var sum = MachineState.zero
        var events = 0
    }

    /// Never more than `limit`; only the last may have fewer events than `eventsPerStretch`.
    private(set) var stretches: [Stretch] = []
    private(set) var eventsPerStretch = 1
    let limit: Int

    /// - Parameter limit: An even number.
    init(limit: Int = 512) {
        precondition(limit > 0 && limit % 2 == 0, "stretches are merged in pairs")
        self.limit = limit
    }

    mutating func append(_ state: MachineState) {
        if stretches.last?.events ?? eventsPerStretch == eventsPerStretch {
            if stretches.count == limit { halve() }
            stretches.append(Stretch())
        }
        stretches[stretches.count - 1].sum += state
        stretches[stretches.count - 1].events += 1
    }

    /// All stretches are full here, so each pair makes a full one of twice the length.
    private mutating func halve() {
        for index in 0..<limit / 2 {
            var pair = stretches[2 * index]
            pair.sum += stretches[2 * index + 1].sum
            pair.events += stretches[2 * index + 1].events
            stretches[index] = pair
        }
        stretches.removeLast(limit / 2)
        eventsPerStretch *= 2
    }
}
