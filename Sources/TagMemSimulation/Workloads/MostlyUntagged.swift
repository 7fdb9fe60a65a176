/// A machine on which a few hardened programs use tags: 5 of 100 new pages are tagged.
///
/// 85 % of the memory is in use; a page at random is freed for each new one. What the dynamic carveout is made for: 95 %
/// of the tag storage could be given back.
public struct MostlyUntagged: Workload {
    public let name = "mostly-untagged"
    public let summary = "1 in 20 pages is tagged, replaced at random"

    public init() {}

    public func run(_ machine: inout Machine) { machine.useSteadily(taggedPercent: 5) }
}
