import TagMemCore

/// Programs that start, grow and exit: 36 at a time, each with 1/64 to 1/16 of the memory.
///
/// A third of the programs use no tags, a third tags every fourth page and a third every one. At each step one of the
/// programs, at random, takes a page, or exits if it has what it wants; then all its pages are freed at once and another
/// program starts. A program that gets no page exits at once: it was killed for want of memory.
public struct Churn: Workload {
    public let name = "churn"
    public let summary = "36 programs grow and exit, a third of them tagged"

    public init() {}

    private struct Program {
        let size: Int
        let taggedPercent: Int
        var pages = PagePool()

        init(_ machine: inout Machine) {
            let total = machine.totalPages
            size = max(1, total / 64 + machine.random.below(total * 3 / 64 + 1))
            taggedPercent = [0, 25, 100][machine.random.below(3)]
        }

        /// False if there was no page.
        mutating func grow(_ machine: inout Machine) -> Bool {
            let use: PageUse = machine.random.chance(percent: taggedPercent) ? .tagged : .untagged
            return machine.allocate(use, into: &pages)
        }
    }

    public func run(_ machine: inout Machine) {
        var programs: [Program] = []
        for _ in 0..<36 { programs.append(Program(&machine)) }
        while !machine.isOver {
            let index = machine.random.below(programs.count)
            let isDone = programs[index].pages.count >= programs[index].size
            if isDone || !programs[index].grow(&machine) {
                machine.freeAll(of: &programs[index].pages)
                programs[index] = Program(&machine)
            }
        }
    }
}
