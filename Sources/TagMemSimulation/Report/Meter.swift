/// Measures a run as it goes.
struct Meter {
    private(set) var events = 0
    private(set) var series = TimeSeries()
    private(set) var stalls = StallHistogram()
    private(set) var failures = 0
    private(set) var sum = MachineState.zero
    private(set) var mostReserved = 0
    private(set) var mostNeeded = 0
    private(set) var mostUsed = 0

    /// An allocation ended, having moved that many pages. One that fails has moved none: nothing refuses to move here.
    mutating func allocation(succeeded: Bool, pagesMoved: Int) {
        if succeeded { stalls.append(pagesMoved: pagesMoved) } else { failures += 1 }
    }

    /// An event ended, and left the machine like this.
    mutating func sample(_ state: MachineState) {
        events += 1
        sum += state
        mostReserved = max(mostReserved, state.reserved)
        mostNeeded = max(mostNeeded, state.needed)
        mostUsed = max(mostUsed, state.untagged + state.tagged)
        series.append(state)
    }
}
