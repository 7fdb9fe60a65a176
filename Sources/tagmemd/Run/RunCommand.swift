import ArgumentParser
import CGuest
import Glibc
import TagMemCore
import TagMemFS

/// `tagmemd run`: a program that was built with libtagmem, on a device of its own.
struct RunCommand: ParsableCommand {
    enum Way: String, ExpressibleByArgument, CaseIterable { case aliases, views }

    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a program that was built with libtagmem on a private device.",
        usage: "tagmemd run [--mode MODE] [--attach WAY] [--size SIZE] [--core FILE] [--] PROGRAM ARGUMENTS…",
        discussion: """
            A device is mounted for the program alone, and taken away when it has ended. Each tag check fault is shown on \
            stderr with the tags around it and the calls that led there. The exit status is the program's.

            With --mode the program begins in that mode, as if it had called prctl(PR_SET_TAGGED_ADDR_CTRL); without, \
            in none, as on Linux.
            """)

    @Option(
        help: ArgumentHelp(
            "none, sync, async or asymm; with ,store-only behind it, stores alone.", valueName: "mode"))
    var mode: String?

    @Option(
        help: ArgumentHelp(
            "aliases (default): instrumented code is checked. views: all code is, by the device.",
            valueName: "way"))
    var attach = Way.aliases

    @Option(help: "Bytes of memory that the device has (default: 1G).")
    var size = MachineOptions.defaultSize

    @Option(
        help: ArgumentHelp(
            "Write the program's tagged memory, as it is when the program has ended, as an ELF core file with tags.",
            valueName: "file"))
    var core: String?

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The program, and its arguments.", valueName: "program"))
    var words: [String] = []

    func validate() throws {
        if size.value == 0 { throw ValidationError("a device without memory makes no sense") }
        if let mode, TagCheckMode(name: mode)?.options.contains(.canonical) ?? true {
            throw ValidationError("'\(mode)' is no mode of a program; see --help")
        }
        _ = try command()
    }

    /// The program and its arguments.
    private func command() throws -> [String] {
        var rest = words[...]
        if rest.first == "--help" || rest.first == "-h" { throw CleanExit.helpRequest(Self.self) }
        if rest.first == "--" {
            rest.removeFirst()
        } else if let first = rest.first, first.hasPrefix("-") {
            throw ValidationError("unknown option '\(first)'; see --help")
        }
        if rest.isEmpty { throw ValidationError("no program is given; see --help") }
        return Array(rest)
    }

    func run() throws {
        let command = try command()
        let device = try PrivateDevice(size: size.value)
        let status: Int32
        do {
            let object = try device.makeObject(
                named: command[0].split(separator: "/").last.map(String.init) ?? "program")
            let reports = try FaultReports()
            setEnvironment([
                "TAGMEM_OBJECT": object, "TAGMEM_ATTACH": attach.rawValue, "TAGMEM_MODE": mode,
                "TAGMEM_REPORT": "\(reports.writer)",
            ])
            let process = try HostProgram.start(command, keeping: [reports.writer])
            reports.print(until: process)
            status = cguest_wait(process)
            if let core { try copy("\(object)/core", to: core) }
        } catch {
            device.end()
            throw error
        }
        device.end()
        cguest_end_like(status)
    }

    /// Of this process, and so of the programs that it starts.
    private func setEnvironment(_ variables: [String: String?]) {
        for (name, value) in variables {
            if let value { unsafe setenv(name, value, 1) } else { unsafe unsetenv(name) }
        }
    }

    private func copy(_ source: String, to path: String) throws {
        let input = try InputFile(source)
        try OutputFile(path).write { put in
            while true {
                let part = try input.read()
                if part.isEmpty { return }
                try put(part)
            }
        }
    }
}
