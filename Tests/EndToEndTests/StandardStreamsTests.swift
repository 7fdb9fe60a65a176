import Glibc
import Testing

@Suite("Standard streams that are closed or full", .timeLimit(.minutes(2)))
struct StandardStreamsTests {
    /// What the shell closes: every set of the three.
    private static let closings = (0..<8).map { set in
        (0..<3).filter { set & 1 << $0 != 0 }.map { "\($0)>&-" }.joined(separator: " ")
    }

    @Test("It mounts, and the command returns, whatever streams are closed", arguments: closings)
    func closed(_ closing: String) throws {
        try withMountpoint { path in
            let outcome = try shell(
                "\"$DAEMON\" --size 1M \"$MNT\" \(closing)", timeout: 20,
                environment: ["DAEMON": daemonProgram, "MNT": path])
            #expect(outcome.succeeded && outcome.errors == "" && outcome.output == "")
            #expect(try contents(of: "\(path)/phys/mode") == "sync\n")
            // What the daemon has there is nobody's file.
            let pid = try daemon(at: path)
            for stream in 0..<3 {
                let target = try shell("readlink /proc/\(pid)/fd/\(stream)")
                #expect(target.line == "/dev/null", "\(stream): \(target.errors)")
            }
        }
    }

    @Test("In the foreground, too", arguments: closings) func closedInForeground(_ closing: String) throws {
        try withMountpoint { path in
            let program = try Program(
                "sh", ["-c", "exec \"$DAEMON\" -f --size 1M \"$MNT\" \(closing)"],
                environment: ["DAEMON": daemonProgram, "MNT": path])
            #expect(eventually(within: 10) { (try? contents(of: "\(path)/phys/mode")) == "sync\n" })
            program.signal(SIGTERM)
            #expect(program.wait(seconds: 10) == .exited(0))
        }
    }

    @Test(
        "What cannot be written is a failure, with a line that says so",
        arguments: [
            "--help", "--version", "dtb", "dtb --help", "simulate half-tagged --events 100",
            "simulate --help",
        ]
    )
    func unwritable(_ arguments: String) throws {
        for (stream, reason) in [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")] {
            let outcome = try shell(
                "\"$DAEMON\" \(arguments) \(stream)", environment: ["DAEMON": daemonProgram])
            #expect(outcome.ending == .exited(1))
            #expect(
                outcome.errorLines.count == 1 && outcome.errors.hasPrefix("tagmemd: "), "\(outcome.errors)")
            #expect(outcome.errors.hasSuffix(": \(reason)\n"), "\(outcome.errors)")
        }
        #expect(try run(daemonProgram, arguments.split(separator: " ").map(String.init)).succeeded)
    }
}
