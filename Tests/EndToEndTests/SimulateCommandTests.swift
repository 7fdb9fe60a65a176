import Glibc
import TestSupport
import Testing

@Suite("tagmemd simulate", .timeLimit(.minutes(1)))
struct SimulateCommandTests {
    private func simulate(_ arguments: String..., input: String = "") throws -> Outcome {
        try run(daemonProgram, ["simulate"] + arguments, standardInput: input, timeout: 20)
    }

    private static let recording = """
        sh 1 [000] 1.5: kmem:mm_page_alloc: page=0x7 pfn=0x7 order=1 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE
        sh 1 [000] 1.6: kmem:mm_page_free: page=0x7 pfn=0x7 order=1

        """

    @Test("--help names every workload and option, a line each") func help() throws {
        let help = try simulate("--help")
        #expect(help.succeeded && help.errors == "")
        for word in [
            "  mostly-untagged ", "  half-tagged ", "  churn ", "  phase-change ", "  fragmentation ",
            "  all ",
            "--blocks", "--seed", "--events", "--background", "--move-cost", "--tagged-share", "--plot",
            "perf record", "perf script",
        ] {
            #expect(help.output.contains(word), "\(word)")
        }
        #expect(help.output.split(separator: "\n").allSatisfy { $0.count <= 90 })
    }

    @Test("all is a table with every workload, the same each time, and nothing on stderr") func all() throws {
        let first = try simulate("all", "--blocks", "4")
        #expect(first.succeeded && first.errors == "")
        let lines = first.output.split(separator: "\n")
        #expect(lines.count == 7 && lines.allSatisfy { $0.hasPrefix("| ") && $0.hasSuffix(" |") })
        #expect(try simulate("all", "--blocks", "4").output == first.output)
        #expect(try simulate("all", "--blocks", "4", "--seed", "2").output != first.output)
        #expect(try simulate("churn", "--blocks", "4").output.split(separator: "\n").count == 3)
    }

    @Test("a recording is read from a file, or from standard input") func recordings() throws {
        let piped = try simulate("-", "--tagged-share", "100", "--blocks", "2", input: Self.recording)
        #expect(piped.succeeded && piped.errors == "")
        #expect(piped.output.contains("\n| standard input |") && piped.output.contains(" 50.0 % |"))
        try withMountpoint { directory in
            // A file may be called like a workload.
            let path = "\(directory)/churn"
            try File(path, O_WRONLY | O_CREAT).write(Self.recording)
            defer { unsafe unlink(path) }
            let read = try simulate(path, "--tagged-share", "100", "--blocks", "2")
            #expect(read.output.contains("1 allocations and 1 frees were replayed"), "\(read.errors)")
        }
    }

    @Test("a plot is written whole, in place of what was there") func plots() throws {
        try withMountpoint { directory in
            let path = "\(directory)/plot.svg"
            defer { unsafe unlink(path) }
            try File(path, O_WRONLY | O_CREAT).write(String(repeating: "x", count: 1 << 20))
            let outcome = try simulate("half-tagged", "--blocks", "4", "--plot", path)
            #expect(outcome.succeeded && outcome.errors == "")
            #expect(xmlComplaint(Array(try contents(of: path).utf8)) == nil)
            #expect(try names(in: directory) == ["plot.svg"])
            let piped = try shell(
                "'\(daemonProgram)' simulate half-tagged --blocks 4 --plot /dev/stdout | cat")
            #expect(piped.output.hasPrefix("<svg ") && piped.output.hasSuffix(outcome.output))
        }
    }

    @Test(
        "what is wrong is said in one line",
        arguments: [
            ([], 64), ([""], 64), (["churn", "churn"], 64), (["churn", "--blocks", "0"], 64),
            (["churn", "--blocks", "1048577"], 64), (["churn", "--blocks", "x"], 64),
            (["churn", "--bogus"], 64),
            (["churn", "--events", "0"], 64), (["churn", "--background", "101"], 64),
            (["churn", "--tagged-share", "5"], 64), (["-", "--tagged-share", "101"], 64),
            (["-", "--events", "5"], 64), (["churn", "--seed", "x"], 64), (["churn", "--plot", ""], 64),
            (["churn", "--move-cost", "-1"], 64), (["no-such-file"], 1), (["/"], 1), (["/dev/null"], 1),
            (["-"], 1),
            (["churn", "--blocks", "1", "--plot", "/nonexistent/plot.svg"], 1),
            (["churn", "--blocks", "1", "--plot", "/dev/full"], 1),
        ] as [([String], Int32)])
    func refused(_ arguments: [String], _ status: Int32) throws {
        let outcome = try run(daemonProgram, ["simulate"] + arguments, timeout: 10)
        #expect(outcome.ending == .exited(status), "\(outcome.errors)")
        #expect(outcome.output == "")
        #expect(outcome.errorLines.count == 1 && outcome.errors.hasPrefix("tagmemd: "), "\(outcome.errors)")
    }
}
