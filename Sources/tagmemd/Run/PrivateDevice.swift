import CGuest
import Glibc
import TagMemFS

/// A device that is mounted for a program, at a place that nobody else knows, by a daemon of its own.
struct PrivateDevice {
    let mountpoint: String
    private let daemon: pid_t

    /// How long the mount may take to answer, in milliseconds.
    private static let patience = 10_000

    /// - Throws: `Failure`, or what the daemon has said; nothing is left then.
    init(size: UInt64) throws {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/tagmemd-run-XXXXXX".utf8CString)
        // SAFETY: the template is a NUL-terminated array of its own.
        guard unsafe mkdtemp(&template) != nil else {
            throw Failure("no directory in \(parent): \(errorText(errno))")
        }
        mountpoint = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do {
            daemon = try HostProgram.startBeside(["/proc/self/exe", "-f", "--size", "\(size)", mountpoint])
        } catch {
            unsafe rmdir(mountpoint)
            throw error
        }
        guard answers() else {
            end()
            throw Failure("the device does not answer")
        }
    }

    private func answers() -> Bool {
        for _ in 0..<Self.patience {
            let directory = unsafe open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { if directory >= 0 { close(directory) } }
            if directory >= 0, cguest_is_in_fuse(directory) { return true }
            if cguest_has_ended(daemon) { return false }
            usleep(1000)
        }
        return false
    }

    /// Makes an empty object. Returns its directory.
    func makeObject(named name: String) throws -> String {
        let path = "\(mountpoint)/tagged/\(name)"
        guard unsafe mkdir(path, 0o755) == 0 else {
            throw Failure("no object '\(name)': \(errorText(errno))")
        }
        return path
    }

    /// Takes the device away.
    func end() {
        kill(daemon, SIGTERM)
        _ = cguest_wait(daemon)
        unsafe rmdir(mountpoint)
    }
}
