/// A machine on which every program's heap is tagged, and files and code are not: every second page is tagged.
///
/// As `MostlyUntagged` but for the share.
public struct HalfTagged: Workload {
    public let name = "half-tagged"
    public let summary = "1 in 2 pages is tagged, replaced at random"

    public init() {}

    public func run(_ machine: inout Machine) { machine.useSteadily(taggedPercent: 50) }
}
