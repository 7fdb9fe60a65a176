import Testing

@testable import TagMemSimulation

@Suite("TimeSeries") struct TimeSeriesTests {
    private func state(_ value: Int) -> MachineState {
        MachineState(reserved: value, needed: 2 * value, untagged: 3, tagged: 4)
    }

    @Test("no event is lost when stretches are merged", arguments: [0, 1, 3, 4, 5, 8, 9, 100, 1000])
    func sums(_ events: Int) {
        var series = TimeSeries(limit: 4)
        for value in 0..<events { series.append(state(value)) }
        let stretches = series.stretches
        #expect(stretches.count <= 4 && (events < 4 || stretches.count > 2))
        #expect(stretches.reduce(0) { $0 + $1.events } == events)
        #expect(stretches.reduce(0) { $0 + $1.sum.reserved } == (0..<events).reduce(0, +))
        #expect(stretches.reduce(0) { $0 + $1.sum.tagged } == 4 * events)
        #expect(stretches.dropLast().allSatisfy { $0.events == series.eventsPerStretch })
        // In the order of time.
        let full = stretches.dropLast().map(\.sum.needed)
        #expect(full == full.sorted())
    }
}

@Suite("StallHistogram") struct StallHistogramTests {
    @Test("without a stall all is 0") func empty() {
        var histogram = StallHistogram()
        #expect(histogram.percentile(99) == 0 && histogram.stalled == 0 && histogram.most == 0)
        histogram.append(pagesMoved: 0)
        #expect(histogram.percentile(99) == 0 && histogram.stalled == 0 && histogram.allocations == 1)
    }

    @Test("percentiles are the smallest values that enough allocations do not exceed") func percentiles() {
        var histogram = StallHistogram()
        for moved in 1...100 { histogram.append(pagesMoved: moved) }
        #expect(histogram.percentile(99) == 99 && histogram.percentile(50) == 50)
        #expect(histogram.percentile(100) == 100 && histogram.percentile(1) == 1)
        histogram.append(pagesMoved: 1_000_000)
        #expect(histogram.percentile(99) == 100 && histogram.percentile(100) == 1_000_000)
        #expect(histogram.most == 1_000_000 && histogram.pagesMoved == 1_005_050 && histogram.stalled == 101)
    }
}
