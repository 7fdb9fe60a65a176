import TestSupport
import Testing

@testable import TagMemSimulation

@Suite("Workloads", .repeatable) struct WorkloadTests {
    private static let names = builtInWorkloads.map(\.name)

    private func run(_ name: String, _ parameters: SimulationParameters) throws -> SimulationReport {
        let workload = try #require(builtInWorkloads.first { $0.name == name })
        return try simulate(workload, parameters)
    }

    private func parameters(_ seed: UInt64 = 7, background: Int = 25) -> SimulationParameters {
        SimulationParameters(blocks: 48, seed: seed, backgroundPercent: background)
    }

    @Test("a seed repeats a run, and another seed makes another", arguments: names)
    func determinism(_ name: String) throws {
        let first = try run(name, parameters())
        let second = try run(name, parameters())
        #expect(table(of: [first]) == table(of: [second]))
        #expect(plot(of: [first]) == plot(of: [second]))
        // The adversary needs no random numbers.
        let other = try run(name, parameters(8))
        #expect((first.series.stretches == other.series.stretches) == (name == "fragmentation"))
    }

    @Test("what is given back is never more than what is possible, in any machine", arguments: names)
    func bounds(_ name: String) throws {
        try withSeed { generator in
            for blocks in [1, 2, 5, 33] {
                let parameters = SimulationParameters(
                    blocks: blocks, seed: generator.next(),
                    events: Int.random(in: 1...6000, using: &generator),
                    backgroundPercent: Int.random(in: 0...100, using: &generator))
                let report = try run(name, parameters)
                for stretch in report.series.stretches {
                    #expect(stretch.sum.reserved >= stretch.sum.needed, "\(parameters)")
                }
                #expect(report.givenBack.mean <= report.possible.mean, "\(parameters)")
                #expect(report.givenBack.least <= report.possible.least, "\(parameters)")
                #expect(report.series.stretches.reduce(0) { $0 + $1.events } == report.events)
                // A workload may end what it has begun, which is no more than its memory.
                #expect(report.events >= parameters.events, "\(parameters)")
                #expect(report.events <= parameters.events + 2 * 33 * blocks + 1, "\(parameters)")
            }
        }
    }

    @Test("a machine that is hardly tagged gives nearly everything back") func mostlyUntagged() throws {
        let report = try run("mostly-untagged", parameters())
        #expect(report.givenBack.mean > 0.9 && report.givenBack.mean < 0.97)
        #expect(report.efficiency > 0.99 && report.failures == 0)
        #expect(report.mostUsed > 0.84 && report.mostUsed < 0.86)
    }

    @Test("a machine that is half tagged gives half back") func halfTagged() throws {
        let report = try run("half-tagged", parameters())
        #expect(report.possible.mean > 0.5 && report.possible.mean < 0.65)
        #expect(report.efficiency > 0.97)
    }

    @Test("programs that come and go fill the memory and leave gaps, which compaction closes")
    func churn() throws {
        let with = try run("churn", parameters())
        let without = try run("churn", parameters(background: 0))
        #expect(with.mostUsed > 0.85)
        #expect(with.efficiency > 0.97 && without.efficiency < with.efficiency - 0.03)
        #expect(with.pagesMoved > 5 * without.pagesMoved)
    }

    @Test("tag storage follows the phases") func phases() throws {
        let report = try run("phase-change", parameters())
        let stretches = report.series.stretches
        // At the end of each sixth the share is that of the phase: 4.5 % and 72 % of the pages are tagged.
        for phase in 0..<PhaseChange.phases {
            let last = stretches[(phase + 1) * stretches.count / PhaseChange.phases - 2]
            let reserved = Double(last.sum.reserved) / Double(last.events) / 48
            #expect(phase % 2 == 0 ? reserved < 0.1 : reserved > 0.7, "phase \(phase): \(reserved)")
        }
        // Tagged phases move pages out of Tag Pages, one for an allocation.
        #expect(report.stalled > report.allocations / 50 && report.mostStall < 10)
    }

    @Test("the adversary keeps tag storage from its use, until all the memory is asked for")
    func fragmentation() throws {
        let report = try run("fragmentation", parameters(background: 0))
        #expect(report.efficiency < 0.75)
        #expect(report.givenBack.least == 0 && report.possible.least == 0)
        #expect(report.mostUsed > 0.98)
        // A block with 16 tagged pages is emptied by 16 exchanges.
        #expect(report.mostStall == 32)
        #expect(report.failures > 0)
    }
}
