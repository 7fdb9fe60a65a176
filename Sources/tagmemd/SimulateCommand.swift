import ArgumentParser
import TagMemSimulation

/// `tagmemd simulate`: how much tag storage the allocator gives back over time.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Shows the share of tag storage that the dynamic carveout gives back over time.",
        usage: "tagmemd simulate WORKLOAD|FILE [--blocks N] [--seed N] [--plot FILE.svg] [OPTIONS]",
        discussion: """
            Runs a workload on the page allocator of an imagined machine, without a mount, and prints what was given \
            back, what could have been, and what it took in page moves, as a table in Markdown. The same command \
            line prints the same table.

            WORKLOAD is one of
            \(workloadLines)

            FILE is a recording of a real machine's page events, - for standard input:
              perf record -a -e kmem:mm_page_alloc,kmem:mm_page_free -- COMMAND
              perf script > FILE
            Choose --blocks by its memory: all of it is free at the beginning.
            """)

    @Argument(
        help: ArgumentHelp(
            "A workload's name, 'all', or a file; ./NAME is always a file.", valueName: "workload"))
    var workload: String

    @Option(help: ArgumentHelp("Tag Blocks of the machine, 128K of data each.", valueName: "n"))
    var blocks = 1024

    @Option(help: ArgumentHelp("What the random numbers start from.", valueName: "n"))
    var seed: UInt64 = 1

    @Option(
        help: ArgumentHelp(
            "Events, pages allocated or freed, after which a workload is over (default: 20 a page).",
            valueName: "n"))
    var events: Int?

    @Option(
        help: ArgumentHelp("Pages that background compaction may move for every 100 events.", valueName: "n"))
    var background = 25

    @Option(help: ArgumentHelp("Nanoseconds that moving a page takes, for the stall times.", valueName: "n"))
    var moveCost = 3000

    @Option(
        help: ArgumentHelp(
            "Of 100 movable allocations of a recording, those that are tagged (default: 50).", valueName: "n")
    )
    var taggedShare: Int?

    @Option(help: ArgumentHelp("Writes the shares over time to an SVG file.", valueName: "file"))
    var plot: String?

    private static let workloadLines =
        (builtInWorkloads.map { ($0.name, $0.summary) } + [("all", "all of these")])
        .map { name, summary in
            "  \(name)\(String(repeating: " ", count: max(0, 17 - name.count)))\(summary)"
        }.joined(separator: "\n")

    /// The workloads that were asked for; empty if it is a file.
    private var named: [any Workload] {
        workload == "all" ? builtInWorkloads : builtInWorkloads.filter { $0.name == workload }
    }

    func validate() throws {
        func check(_ option: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
            guard let value, !range.contains(value) else { return }
            throw ValidationError(
                "--\(option) is \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
        try check("blocks", blocks, 1...SimulationParameters.blockLimit)
        try check("events", events, 1...SimulationParameters.eventLimit)
        try check("background", background, 0...100)
        try check("move-cost", moveCost, 0...SimulationParameters.moveCostLimit)
        try check("tagged-share", taggedShare, 0...100)
        if workload.isEmpty { throw ValidationError("no workload is given; see tagmemd simulate --help") }
        if plot?.isEmpty == true { throw ValidationError("--plot needs the name of a file") }
        if named.isEmpty, events != nil {
            throw ValidationError("--events is for workloads, not for a recording")
        }
        if !named.isEmpty, taggedShare != nil {
            throw ValidationError("--tagged-share is for a recording, and '\(workload)' is none")
        }
    }

    func run() throws {
        let parameters = SimulationParameters(
            blocks: blocks, seed: seed, events: events, backgroundPercent: background, moveCost: moveCost)
        let isRecording = named.isEmpty
        let workloads = isRecording ? [try recording()] : named
        var progress = ProgressLine()
        defer { progress.end() }
        var reports: [SimulationReport] = []
        for workload in workloads {
            do {
                reports.append(
                    try simulate(workload, parameters) { events in
                        progress.show(workload.name, events, of: isRecording ? nil : parameters.events)
                    })
            } catch let error as RecordingError {
                throw Failure("\(workload.name): \(error)")
            }
        }
        progress.end()
        if let plot {
            try OutputFile(plot).write(TagMemSimulation.plot(of: reports))
        }
        try OutputFile.standardOutput.write(Array(table(of: reports).utf8))
    }

    private func recording() throws -> any Workload {
        let input = try InputFile(workload, failure: "is no workload, and no file to read")
        return RecordedWorkload(name: input.name, taggedPercent: taggedShare ?? 50) { try input.read() }
    }
}
