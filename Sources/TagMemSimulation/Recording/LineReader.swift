/// Lines of a stream in bounded memory, whatever the stream holds.
struct LineReader {
    enum Line: Equatable {
        /// Without its end, LF or CR LF.
        case text([UInt8])
        /// More than `LineReader.limit` bytes, which were skipped.
        case tooLong
    }

    /// Far more than a page event takes with the longest names.
    static let limit = 4096

    /// The next part of the stream; nil or empty at its end.
    private let source: () throws -> [UInt8]?
    private var chunk: ArraySlice<UInt8> = []
    private var isAtEnd = false

    init(_ source: @escaping () throws -> [UInt8]?) { self.source = source }

    /// nil at the end. A last line that does not end counts as well.
    mutating func next() throws -> Line? {
        var line: [UInt8] = []
        var isTooLong = false
        while true {
            if chunk.isEmpty, !isAtEnd {
                chunk = try source()?[...] ?? []
                isAtEnd = chunk.isEmpty
            }
            if isAtEnd, line.isEmpty, !isTooLong { return nil }
            let end = chunk.firstIndex(of: UInt8(ascii: "\n"))
            let part = chunk[..<(end ?? chunk.endIndex)]
            chunk = chunk[(end.map { $0 + 1 } ?? chunk.endIndex)...]
            if line.count + part.count > Self.limit { isTooLong = true } else { line += part }
            guard end != nil || isAtEnd else { continue }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            return isTooLong ? .tooLong : .text(line)
        }
    }
}
