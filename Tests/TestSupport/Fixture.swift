#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The lines of a text file in the folder `Fixtures` beside the test's source.
///
/// Without Foundation and resource bundles: the package is tested where it was built.
public func fixtureLines(_ name: String, beside source: String = #filePath) throws -> [Substring] {
    let folder = source.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
        separator: "/")
    let path = "\(folder)/Fixtures/\(name)"
    // SAFETY: the stream is closed below and the chunk is read as far as `fread` filled it.
    guard let stream = unsafe fopen(path, "r") else { throw FixtureError(path: path) }
    defer { unsafe fclose(stream) }
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe fread(&chunk, 1, chunk.count, stream)
        if count == 0 { break }
        text += chunk[..<count]
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
}

public struct FixtureError: Error {
    public let path: String

    public init(path: String) { self.path = path }
}
