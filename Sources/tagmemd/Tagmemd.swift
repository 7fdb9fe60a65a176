import ArgumentParser
import Glibc
import TagMemFS

@main
struct Tagmemd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tagmemd",
        abstract: "Emulates an MTE-capable physical memory device as a file system.",
        version: "0.1.0",
        subcommands: [MountCommand.self],
        defaultSubcommand: MountCommand.self)

    /// One line on stderr and a status for every failure: 64 for a wrong command line, 1 for everything else.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            guard code != .success else { exit(withError: error) }
            if error is SessionError.Explained { _exit(1) }
            let text = message(for: error).split(separator: "\n").first.map(String.init) ?? "failed"
            warn(text)
            _exit(code == .validationFailure ? 64 : 1)
        }
    }
}
