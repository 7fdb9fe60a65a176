/// Reports as a table in GitHub's Markdown, a line each, with what is to be noted below.
public func table(of reports: [SimulationReport]) -> String {
    let columns: [(title: String, value: (SimulationReport) -> String)] = [
        ("workload", { $0.workload.filter { !"|\n\r`".contains($0) } }),
        ("allocations", { String($0.allocations) }),
        ("failed", { String($0.failures) }),
        ("memory used, most", { percent($0.mostUsed) }),
        ("given back, mean", { percent($0.givenBack.mean) }),
        ("least", { percent($0.givenBack.least) }),
        ("possible, mean", { percent($0.possible.mean) }),
        ("least", { percent($0.possible.least) }),
        ("given back of possible", { percent($0.efficiency) }),
        ("migrations per allocation", { fixed($0.migrationsPerAllocation, 3) }),
        (
            "stalled allocations",
            { fixed(100 * Double($0.stalled) / Double(max($0.allocations, 1)), 2) + " %" }
        ),
        ("stall, mean", { fixed($0.meanStall, 3) }),
        ("99 %", { String($0.stall99) }),
        ("most", { String($0.mostStall) }),
        ("stall time, mean", { fixed($0.microseconds($0.meanStall), 2) + " µs" }),
        ("most", { fixed($0.microseconds(Double($0.mostStall)), 0) + " µs" }),
    ]
    var cells = [columns.map(\.title)]
    for report in reports { cells.append(columns.map { $0.value(report) }) }
    let widths = columns.indices.map { column in max(3, cells.map { $0[column].count }.max() ?? 0) }

    func line(_ row: [String]) -> String {
        var text = "|"
        for (column, cell) in row.enumerated() {
            let padding = String(repeating: " ", count: widths[column] - cell.count)
            text += column == 0 ? " \(cell)\(padding) |" : " \(padding)\(cell) |"
        }
        return text + "\n"
    }
    var text = line(cells[0])
    // All but the first column are numbers, and end at the right.
    text += "|"
    for (column, width) in widths.enumerated() {
        let dashes = String(repeating: "-", count: width - 1)
        text += column == 0 ? " :\(dashes) |" : " \(dashes): |"
    }
    text += "\n"
    for row in cells.dropFirst() { text += line(row) }
    for report in reports where !report.notes.isEmpty {
        text += "\n\(report.workload.filter { !$0.isNewline }): \(report.notes.joined(separator: " "))\n"
    }
    return text
}
