import ArgumentParser
import CFuse
import Glibc
import TagMemFS

@main
enum Tagmemd {
    /// The commands beside mounting, which has no name: `tagmemd MOUNTPOINT`.
    private static let commands: [any ParsableCommand.Type] = [
        SimulateCommand.self, DeviceTreeCommand.self, QEMUCommand.self, RunCommand.self,
    ]

    /// One line on stderr and a status for every failure: 64 for a wrong command line, 1 for everything else.
    static func main() {
        cfuse_fill_standard_descriptors()
        let arguments = CommandLine.arguments.dropFirst()
        if let command = commands.first(where: { $0.configuration.commandName == arguments.first }) {
            run(command, Array(arguments.dropFirst()))
        } else {
            run(MountCommand.self, Array(arguments))
        }
    }

    private static func run(_ type: any ParsableCommand.Type, _ arguments: [String]) {
        do {
            do {
                var command = try type.parseAsRoot(arguments)
                try command.run()
            } catch  where type.exitCode(for: error) == .success {
                // --help and --version.
                try OutputFile.standardOutput.write(Array("\(type.fullMessage(for: error))\n".utf8))
            }
        } catch {
            if error is SessionError.Explained { _exit(1) }
            let text = type.message(for: error).split(separator: "\n").first.map(String.init)
            warn(text ?? "failed")
            _exit(type.exitCode(for: error) == .validationFailure ? 64 : 1)
        }
    }
}
