import TestSupport
import Testing

@testable import TagMemSimulation

@Suite("Recordings") struct RecordedWorkloadTests {
    private func replay(
        _ text: String, tagged: Int = 100, blocks: Int = 16, seed: UInt64 = 1
    ) throws -> SimulationReport {
        var parts = [Array(text.utf8)][...]
        let workload = RecordedWorkload(name: "recording", taggedPercent: tagged) { parts.popFirst() }
        return try simulate(workload, SimulationParameters(blocks: blocks, seed: seed))
    }

    private func allocation(_ frame: Int, _ order: Int = 0, _ flags: String = "__GFP_MOVABLE") -> String {
        "kmem:mm_page_alloc: page=0x1 pfn=\(frame) order=\(order) migratetype=0 gfp_flags=\(flags)\n"
    }

    private func free(_ frame: Int, _ order: Int = 0) -> String {
        "kmem:mm_page_free: page=0x1 pfn=\(frame) order=\(order)\n"
    }

    @Test("a real machine's recording") func real() throws {
        let text = try fixtureLines("pipelines.perf.txt").joined(separator: "\n")
        let report = try replay(text, tagged: 50)
        #expect(report.events == 1056 && report.allocations == 619 && report.failures == 0)
        #expect(report.notes.first?.hasPrefix("619 allocations and 482 frees") == true)
        #expect(report.notes.count == 2 && report.notes[1].hasPrefix("45 freed pages"))
        #expect(report.givenBack.mean > 0.8 && report.givenBack.mean <= report.possible.mean)
        // Without a tagged page all tag storage is given back.
        let untagged = try replay(text, tagged: 0)
        #expect(untagged.givenBack == .init(mean: 1, least: 1) && untagged.pagesMoved == 0)
        let tagged = try replay(text, tagged: 100)
        #expect(tagged.givenBack.mean < report.givenBack.mean - 0.05)
        #expect(table(of: [report]) == table(of: [try replay(text, tagged: 50)]))
        #expect(table(of: [report]) != table(of: [try replay(text, tagged: 50, seed: 2)]))
    }

    @Test("only movable pages are tagged") func rule() throws {
        let report = try replay(allocation(1, 0, "GFP_KERNEL") + allocation(2, 0, "GFP_HIGHUSER"), blocks: 1)
        #expect(report.givenBack.least == 1 && report.allocations == 2)
        #expect(try replay(allocation(1), blocks: 1).givenBack.least == 0)
    }

    @Test("an order is so many pages, and they may be freed in other units") func orders() throws {
        let split = allocation(8, 3) + (8..<16).map { free($0) }.joined() + allocation(100)
        let report = try replay(split, blocks: 1)
        #expect(report.allocations == 9 && report.events == 17 && report.mostUsed == 8.0 / 33)
        #expect(report.notes.count == 1)
        let joined = try replay((8..<16).map { allocation($0) }.joined() + free(8, 3), blocks: 1)
        #expect(joined.events == 16 && joined.notes.count == 1)
    }

    @Test("what the recording has missed is counted and does no harm") func gaps() throws {
        let report = try replay(free(1) + free(4, 2) + allocation(7) + allocation(7) + free(7) + free(7))
        #expect(report.allocations == 2 && report.events == 4)
        #expect(report.notes.count == 3)
        #expect(report.notes[1].hasPrefix("6 freed pages were not allocated"))
        #expect(report.notes[2].hasPrefix("1 pages were allocated again"))
    }

    @Test("a recording of a larger machine finds no room at times") func noRoom() throws {
        let report = try replay(allocation(0x1000, 10) + free(0x1000, 10) + allocation(1), blocks: 1)
        #expect(report.allocations == 33 && report.failures == 1024 - 32)
        #expect(report.notes[1].hasPrefix("992 freed pages"))
    }

    @Test("bad lines are counted and passed over") func badLines() throws {
        let long = String(repeating: "y", count: 10_000)
        let report = try replay(
            "# comment\n\(long)\nkmem:mm_page_free: pfn=? order=0\n\0\u{1}\n" + allocation(1)
                + "kmem:mm_page_alloc: page=(nil) pfn=0 order=0 migratetype=0 gfp_flags=GFP_KERNEL")
        #expect(report.allocations == 1)
        let notes = report.notes.dropFirst()
        #expect(notes.map { $0.prefix(8) } == ["1 alloca", "2 lines ", "2 lines "])
    }

    @Test(
        "a file without any allocation is refused",
        arguments: ["", "\n\n", "PERFILE2\0", "kmem:mm_page_alloc: ?"])
    func noEvents(_ text: String) {
        #expect(throws: RecordingError.self) { try replay(text) }
    }

    @Test("any bytes at all") func noise() throws {
        try withSeed { generator in
            let pieces = [
                "mm_page_alloc: ", "kmem:mm_page_free: ", "pfn=", "order=", "gfp_flags=", "0x", "\n", " ",
                "\0", "1",
                "13", "f", "\u{ff}", "|", "__GFP_MOVABLE", "999999999999",
            ]
            var text = allocation(1)
            for _ in 0..<20_000 { text += pieces.randomElement(using: &generator) ?? "" }
            let report = try replay(text, blocks: 2)
            #expect(report.givenBack.mean <= report.possible.mean)
        }
    }

    @Test("an error of the source is the caller's") func sourceError() {
        struct Failure: Error {}
        let workload = RecordedWorkload(name: "", taggedPercent: 0) { throw Failure() }
        #expect(throws: Failure.self) { try simulate(workload, SimulationParameters(blocks: 1)) }
    }
}
