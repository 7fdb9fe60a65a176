import TagMemCore

/// A machine whose use changes: in turn 5 % and 80 % of its pages in use are tagged, three times each.
///
/// 90 % of the memory is in use throughout. At the start of a phase pages of one use are replaced by pages of the other,
/// at random and one by one, until the share is reached; from then on pages are replaced by others of the same use. What
/// it shows is how fast tag storage comes back after a tagged phase, and what a tagged phase costs as it begins.
public struct PhaseChange: Workload {
    public let name = "phase-change"
    public let summary = "in turn 5 % and 80 % of the pages are tagged"

    static let phases = 6

    public init() {}

    public func run(_ machine: inout Machine) {
        var untagged = PagePool()
        var tagged = PagePool()
        let target = machine.totalPages * 90 / 100
        while !machine.isOver {
            let phase = machine.events * Self.phases / machine.eventsPlanned
            let taggedTarget = target * (phase % 2 == 0 ? 5 : 80) / 100
            if untagged.count + tagged.count >= target {
                let isTagged =
                    tagged.count == taggedTarget
                    ? machine.random.below(target) < tagged.count : tagged.count > taggedTarget
                if isTagged { machine.freeAny(of: &tagged) } else { machine.freeAny(of: &untagged) }
            }
            // Each phase fits: 0.9 * (1 + 0.8 / 32) of the memory at most.
            let succeeded =
                tagged.count < taggedTarget
                ? machine.allocate(.tagged, into: &tagged) : machine.allocate(.untagged, into: &untagged)
            if !succeeded, !untagged.isEmpty { machine.freeAny(of: &untagged) }
        }
    }
}
