import Glibc
import Testing

/// An empty directory to mount something on. Whatever is mounted there, and whoever serves it, is gone afterwards.
func withMountpoint<Result>(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (String) throws -> Result
) throws -> Result {
    let path = try makeTemporaryDirectory()
    defer {
        while isMounted(path) {
            if !detach(path) { break }
        }
        let isQuiet = eventually(within: 8) { (try? processes(naming: path))?.isEmpty ?? false }
        if !isQuiet {
            Issue.record("processes are left that use \(path)", sourceLocation: sourceLocation)
            for process in (try? processes(naming: path)) ?? [] { kill(process, SIGKILL) }
        }
        unsafe rmdir(path)
    }
    return try body(path)
}

/// The daemon in the background that serves a mount point.
func daemon(at path: String) throws -> pid_t {
    // For a moment after the fork the guard has the daemon's name.
    var found: [pid_t] = []
    _ = eventually(within: 5) {
        found =
            (try? processes(naming: path))?.filter { (try? contents(of: "/proc/\($0)/comm")) == "tagmemd\n" }
            ?? []
        return found.count == 1
    }
    try #require(found.count == 1, "\(found.count) daemons at \(path)")
    return found[0]
}

/// Mounts in the background. The mount answers when this returns.
@discardableResult
func mountInBackground(
    _ path: String, _ arguments: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
) throws -> Outcome {
    let outcome = try run(
        daemonProgram, ["--size", "1M"] + arguments + [path], timeout: 10, sourceLocation: sourceLocation)
    try #require(outcome.succeeded, "\(outcome.errors)", sourceLocation: sourceLocation)
    try #require(
        try contents(of: "\(path)/phys/mode") == "sync\n", "no answer", sourceLocation: sourceLocation)
    return outcome
}

/// Takes a mount out of the tree, also one that is in use: as root by itself, as a user with fusermount3.
func detach(_ path: String) -> Bool {
    if unsafe umount2(path, Int32(MNT_DETACH)) == 0 { return true }
    return (try? run("fusermount3", ["-u", "-z", path], timeout: 10).succeeded) ?? false
}
