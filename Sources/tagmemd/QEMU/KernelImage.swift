import Glibc
import TagMemFS

/// A Linux kernel for arm64, as it lies in memory. Linux, Documentation/arch/arm64/booting.rst.
struct KernelImage {
    let bytes: [UInt8]
    /// From a multiple of 2 MiB to its first byte.
    let textOffset: UInt64
    /// What it needs from its first byte on.
    let size: UInt64

    private static let largest = 512 << 20

    /// - Parameter path: an `Image`, one that gzip has packed, or one that unpacks itself (EFI zboot) from gzip.
    init(_ path: String) throws {
        var bytes = try readFile(path, limit: Self.largest)
        if bytes.starts(with: Array("MZ".utf8)), bytes.dropFirst(4).starts(with: Array("zimg".utf8)) {
            let start = Self.number(bytes, at: 8, bytes: 4)
            let count = Self.number(bytes, at: 12, bytes: 4)
            guard bytes.count >= 64, start <= UInt64(bytes.count), count <= UInt64(bytes.count) - start else {
                throw Failure("'\(path)' is cut off")
            }
            bytes = Array(bytes[Int(start)..<Int(start + count)])
        }
        if bytes.starts(with: [0x1f, 0x8b]) {
            let packed = try NamelessFile(bytes, "packed kernel")
            do {
                bytes = try HostProgram.output(
                    of: ["gzip", "-dc"], input: packed.descriptor, isQuiet: true, limit: Self.largest)
            } catch {
                throw Failure("'\(path)' cannot be unpacked: \(error)")
            }
        }
        guard bytes.count >= 64, bytes[56..<60].elementsEqual("ARM\u{64}".utf8) else {
            throw Failure("'\(path)' is no kernel for arm64: an Image, or one packed with gzip")
        }
        textOffset = Self.number(bytes, at: 8, bytes: 8)
        // Kernels before 3.17 do not say how much they need.
        size = max(Self.number(bytes, at: 16, bytes: 8), UInt64(bytes.count))
        self.bytes = bytes
        guard textOffset < 2 << 20, size <= UInt64(Self.largest) * 2 else {
            throw Failure("'\(path)' is no kernel for arm64: its header makes no sense")
        }
    }

    private static func number(_ bytes: [UInt8], at offset: Int, bytes count: Int) -> UInt64 {
        guard offset + count <= bytes.count else { return 0 }
        return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
