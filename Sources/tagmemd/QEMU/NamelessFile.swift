import CGuest
import Glibc
import TagMemFS

/// Bytes as a file without a name, for a program that takes a path.
final class NamelessFile {
    let descriptor: Int32
    let count: UInt64

    /// As a process sees it that has inherited the descriptor.
    var path: String { "/dev/fd/\(descriptor)" }

    init(_ bytes: [UInt8], _ name: String) throws {
        descriptor = unsafe cguest_memory_file(name)
        count = UInt64(bytes.count)
        guard descriptor >= 0 else { throw Failure("no memory for the \(name): \(errorText(-descriptor))") }
        var rest = bytes[...]
        while !rest.isEmpty {
            // SAFETY: `write` reads the bytes of the slice.
            let written = unsafe rest.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress, $0.count)
            }
            guard written > 0 else { throw Failure("no memory for the \(name): \(errorText(errno))") }
            rest = rest.dropFirst(written)
        }
        lseek(descriptor, 0, SEEK_SET)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
