import TagMemCore
import Testing

@testable import TagMemSimulation

@Suite("Machine") struct MachineTests {
    /// Runs `body` as a workload.
    private struct Script: Workload {
        let name = "script"
        let summary = ""
        let body: (inout Machine) -> Void
        func run(_ machine: inout Machine) { body(&machine) }
    }

    private func run(
        blocks: Int, background: Int = 0, _ body: @escaping (inout Machine) -> Void
    ) throws -> SimulationReport {
        try simulate(Script(body: body), SimulationParameters(blocks: blocks, backgroundPercent: background))
    }

    @Test("memory ends, and that is counted") func failures() throws {
        let report = try run(blocks: 1) { machine in
            var tagged = 0
            while machine.allocate(.tagged) != nil { tagged += 1 }
            #expect(tagged == 32 && machine.taggedPages == 32 && machine.totalPages == 33)
            #expect(machine.allocate(.untagged) == nil)
        }
        #expect(report.allocations == 32 && report.failures == 2 && report.events == 34)
        #expect(report.givenBack == .init(mean: 0, least: 0))
        #expect(report.mostUsed == 32.0 / 33)
    }

    @Test("a stall is the pages that the allocation itself moved") func stalls() throws {
        let report = try run(blocks: 1) { machine in
            var pages: [PageHandle] = []
            for _ in 0..<33 { if let page = machine.allocate(.untagged) { pages.append(page) } }
            // The first page is in the Tag Page; two others become free, and it must move to one of them.
            machine.free(pages[5])
            machine.free(pages[6])
            #expect(machine.allocate(.tagged) != nil)
        }
        #expect(report.failures == 0 && report.allocations == 34)
        #expect(report.pagesMoved == 1 && report.stalled == 1 && report.mostStall == 1)
        #expect(report.meanStall == 1.0 / 34 && report.stall99 == 1)
        #expect(report.microseconds(report.meanStall * 34) == 3)
    }

    @Test("the background moves as many pages as it may, and no more", arguments: [0, 5, 25, 100])
    func background(_ percent: Int) throws {
        let report = try run(blocks: 2, background: percent) { machine in
            var pages: [PageHandle] = []
            for _ in 0..<64 { if let page = machine.allocate(.tagged) { pages.append(page) } }
            // Every second page goes. With the last of them the other 32 fit into one block: 16 pages must move.
            for index in stride(from: 0, to: 64, by: 2) { machine.free(pages[index]) }
            // Pages that come and go let time pass: four more events.
            for _ in 0..<2 {
                if let page = machine.allocate(.untagged) { machine.free(page) }
            }
            #expect(machine.blocks == 2 && machine.taggedPages == 32)
        }
        // 5 in 100 are five in 100 events; the others had the moves together long before.
        #expect(report.events == 100 && report.stalled == 0)
        #expect(report.pagesMoved == min(percent, 16))
        #expect((report.series.stretches.last?.sum.reserved == 1) == (percent >= 16))
    }

    @Test("handles stay with their pages when those move") func handles() throws {
        _ = try run(blocks: 3, background: 100) { machine in
            var pages = PagePool()
            for _ in 0..<96 { #expect(machine.allocate(.tagged, into: &pages)) }
            for _ in 0..<90 { machine.freeAny(of: &pages) }
            // All in one block, and each can be freed.
            var blocks: Set<BlockIndex> = []
            var left: [PageHandle] = []
            while let page = pages.popLast() { left.append(page) }
            for page in left { blocks.insert(machine.block(of: page)) }
            #expect(left.count == 6 && blocks.count == 1)
            for page in left { machine.free(page) }
            #expect(machine.usedPages == 0)
        }
    }
}
