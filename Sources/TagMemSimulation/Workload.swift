/// Something that allocates and frees the pages of a machine.
///
/// A workload is deterministic: what it does follows from the machine's size, its random numbers and which allocations
/// fail. An allocation that fails is part of its life: it frees something, or goes on without.
public protocol Workload {
    /// How it is called on a command line, and in tables.
    var name: String { get }

    /// One line that says what it does.
    var summary: String { get }

    /// Lives until `machine.isOver`, which every call of the machine brings closer, or until it has nothing more to do.
    func run(_ machine: inout Machine) throws

    /// What the user should know of the run beside the figures, a sentence each.
    var notes: [String] { get }
}

extension Workload {
    public var notes: [String] { [] }
}

/// The workloads that need no recording, in the order of tables.
public var builtInWorkloads: [any Workload] {
    [MostlyUntagged(), HalfTagged(), Churn(), PhaseChange(), Fragmentation()]
}
