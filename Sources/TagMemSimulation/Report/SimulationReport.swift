/// What a run came to. Documentation/SIMULATION.md defines the figures.
public struct SimulationReport: Sendable {
    /// A share of all Tag Pages over the events of a run.
    public struct Share: Sendable, Equatable {
        public let mean: Double
        public let least: Double
    }

    public let workload: String
    public let notes: [String]
    public let parameters: SimulationParameters
    public let events: Int

    /// Tag Pages that are not reserved, and those that need not be, of all Tag Pages.
    public let givenBack: Share
    public let possible: Share
    /// The most pages in use, of all pages.
    public let mostUsed: Double

    /// Pages given out, and allocations that failed.
    public let allocations: Int
    public let failures: Int
    /// Pages moved by allocations and by background compaction; an exchange moves two.
    public let pagesMoved: Int

    /// Allocations that had to move pages.
    public let stalled: Int
    /// Pages that an allocation moved, over all allocations.
    public let meanStall: Double
    public let stall99: Int
    public let mostStall: Int

    let series: TimeSeries

    init(
        workload: String, notes: [String], parameters: SimulationParameters, meter: Meter, pagesMoved: Int
    ) {
        let events = max(meter.events, 1)
        let blocks = Double(parameters.blocks)
        func share(_ sum: Int, _ most: Int) -> Share {
            Share(mean: 1 - Double(sum) / Double(events) / blocks, least: 1 - Double(most) / blocks)
        }
        self.workload = workload
        self.notes = notes
        self.parameters = parameters
        self.events = meter.events
        givenBack = share(meter.sum.reserved, meter.mostReserved)
        possible = share(meter.sum.needed, meter.mostNeeded)
        mostUsed = Double(meter.mostUsed) / (blocks * 33)
        allocations = meter.stalls.allocations
        failures = meter.failures
        self.pagesMoved = pagesMoved
        stalled = meter.stalls.stalled
        meanStall = Double(meter.stalls.pagesMoved) / Double(max(allocations, 1))
        stall99 = meter.stalls.percentile(99)
        mostStall = meter.stalls.most
        series = meter.series
    }

    /// What was given back, of what could have been; 1 where nothing could.
    public var efficiency: Double { possible.mean > 0 ? givenBack.mean / possible.mean : 1 }

    public var migrationsPerAllocation: Double { Double(pagesMoved) / Double(max(allocations, 1)) }

    /// Pages moved, in microseconds.
    public func microseconds(_ pages: Double) -> Double { pages * Double(parameters.moveCost) / 1000 }
}
