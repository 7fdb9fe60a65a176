import CGuest
import Glibc
import TagMemFS

/// Bytes as a file without a name, for a program that takes a path.
final class NamelessFile {
    let descriptor: Int32

    /// As a process sees it that has inherited the descriptor.
    var path: String { "/dev/fd/\(descriptor)" }

    init(_ bytes: [UInt8], _ name: String) throws {
        descriptor = unsafe cguest_memory_file(name)
        guard descriptor >= 0 else { throw Failure("no memory for the \(name): \(errorText(-descriptor))") }
        guard writeAll(bytes, to: descriptor) else {
            throw Failure("no memory for the \(name): \(errorText(errno))")
        }
        lseek(descriptor, 0, SEEK_SET)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
