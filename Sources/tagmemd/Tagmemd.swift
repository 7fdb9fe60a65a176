import ArgumentParser
import Glibc
import TagMemFS

@main
enum Tagmemd {
    /// One line on stderr and a status for every failure: 64 for a wrong command line, 1 for everything else.
    static func main() {
        do {
            var command = try MountCommand.parseAsRoot()
            try command.run()
        } catch {
            let code = MountCommand.exitCode(for: error)
            guard code != .success else { MountCommand.exit(withError: error) }
            if error is SessionError.Explained { _exit(1) }
            let text = MountCommand.message(for: error).split(separator: "\n").first.map(String.init)
            warn(text ?? "failed")
            _exit(code == .validationFailure ? 64 : 1)
        }
    }
}
