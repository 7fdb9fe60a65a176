import TestSupport
import Testing

@testable import TagMemSimulation

@Suite("Reports") struct ReportTests {
    private func report(_ name: String = "x", events: Int = 2000) throws -> SimulationReport {
        struct Named: Workload {
            let name: String
            let summary = ""
            func run(_ machine: inout Machine) { machine.useSteadily(taggedPercent: 30) }
        }
        return try simulate(Named(name: name), SimulationParameters(blocks: 8, events: events))
    }

    @Test("a table has a line for each report, with as many cells as the first") func tables() throws {
        let lines = table(of: [try report("one"), try report("two | `three`\n")]).split(separator: "\n")
        #expect(lines.count == 4)
        let bars = lines.map { line in line.count { $0 == "|" } }
        #expect(Set(bars).count == 1 && bars[0] == 17)
        #expect(Set(lines.map(\.count)).count == 1)
        #expect(lines[1].wholeMatch(of: /\| :-+ \|( -+: \|)+/) != nil)
        #expect(lines[2].hasPrefix("| one ") && lines[3].hasPrefix("| two  three |"))
    }

    @Test("a table's figures are the report's") func figures() throws {
        let report = try report()
        let cells = table(of: [report]).split(separator: "\n")[2].split(separator: "|").map {
            $0.trimmingPrefix(while: { $0 == " " })
        }
        #expect(cells[1].hasPrefix("\(report.allocations) "))
        #expect(cells[4].hasPrefix("\(fixed(report.givenBack.mean * 100, 1)) %"))
        #expect(cells[6].hasPrefix("\(fixed(report.possible.mean * 100, 1)) %"))
    }

    @Test("a plot is well-formed, with a panel for each report and everything in it") func plots() throws {
        let bytes = plot(of: [try report("a<b"), try report("c&\"d\"\0")])
        #expect(xmlComplaint(bytes) == nil)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("viewBox=\"0 0 960 680\"") && text.contains("a&lt;b"))
        for name in ["given", "possible"] {
            #expect(text.matches(of: try Regex("<polyline [^>]*class=\"\(name)\"")).count == 2, "\(name)")
        }
        for name in ["missed", "tagged", "untagged"] {
            #expect(text.matches(of: try Regex("<polygon [^>]*class=\"\(name)\"")).count == 2, "\(name)")
        }
        // Within the panel.
        for match in text.matches(of: /(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)/) {
            let (x, y) = (Double(match.1) ?? -1, Double(match.2) ?? -1)
            #expect(x >= 60 && x <= 940 && y >= 62 && y <= 292)
        }
    }

    @Test("a run of one event can be drawn") func shortest() throws {
        #expect(xmlComplaint(plot(of: [try report(events: 1)])) == nil)
        #expect(xmlComplaint(plot(of: [])) == nil)
    }

    @Test("numbers") func numbers() {
        #expect(fixed(0, 2) == "0.00" && fixed(1.005, 1) == "1.0" && fixed(99.96, 1) == "100.0")
        #expect(fixed(-0.5, 1) == "-0.5" && fixed(12.5, 0) == "13" && fixed(0.049, 2) == "0.05")
        #expect(grouped(0) == "0" && grouped(1234567) == "1\u{2009}234\u{2009}567" && grouped(999) == "999")
        #expect(
            tickStep(0) == 1 && tickStep(10) == 1 && tickStep(11) == 2 && tickStep(50) == 5
                && tickStep(55) == 10)
        #expect(tickStep(1_000_000) == 100_000)
    }
}
