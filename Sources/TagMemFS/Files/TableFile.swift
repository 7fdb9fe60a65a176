import TagMemCore

/// A text file of lines of the same length, made as they are read: it costs what is read, however long it is.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
class TableFile: OpenFile, @unchecked Sendable {
    /// Lines made under one hold of a lock.
    private static let linesAtOnce = 1024

    /// Bytes of a line, with its newline.
    var lineLength: Int { 1 }

    /// Lines that there are now.
    var lineCount: Int { 0 }

    /// Appends lines; fewer, if there are fewer by now.
    func appendLines(_ lines: Range<Int>, to text: inout [UInt8]) {}

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        guard let offset = Int(exactly: offset) else { return reply.endOfFile() }
        let length = lineLength
        var line = offset / length
        let skipped = offset % length
        var text: [UInt8] = []
        text.reserveCapacity(size + skipped + length)
        let end = lineCount
        while text.count < size + skipped, line < end {
            let wanted = min(Self.linesAtOnce, (size + skipped - text.count) / length + 1, end - line)
            let before = text.count
            appendLines(line..<line + wanted, to: &text)
            if text.count == before { break }
            line += (text.count - before) / length
        }
        guard text.count > skipped else { return reply.endOfFile() }
        reply.bytes(Array(text[skipped...].prefix(size)))
    }
}

extension [UInt8] {
    /// Appends a decimal number, padded on the left to `width`.
    mutating func append(_ number: Int, width: Int) {
        let digits = String(number).utf8
        append(contentsOf: repeatElement(UInt8(ascii: " "), count: Swift.max(0, width - digits.count)))
        append(contentsOf: digits)
    }

    /// Appends a number in hexadecimal, with `0x` and leading zeros up to `digits`.
    mutating func append(hex number: UInt64, digits: Int) {
        let text = String(number, radix: 16).utf8
        append(contentsOf: "0x".utf8)
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: Swift.max(0, digits - text.count)))
        append(contentsOf: text)
    }

    /// Appends a word, padded on the right to `width`.
    mutating func append(_ word: String, width: Int) {
        append(contentsOf: word.utf8)
        append(contentsOf: repeatElement(UInt8(ascii: " "), count: Swift.max(0, width - word.utf8.count)))
    }

    mutating func appendBlank() { append(UInt8(ascii: " ")) }
    mutating func appendNewline() { append(UInt8(ascii: "\n")) }
}

/// `blocks`: a line a Tag Block.
///
/// ```
///     index address         state    tagged untagged free pinned tag page        use      pages
///         0 0x0000040000000 tagged       16    0   16    0 0x0000080000000 reserved    1
/// ```
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class BlocksFile: TableFile, @unchecked Sendable {
    static let lineLength = 8 + 1 + 15 + 1 + 8 + 4 * 5 + 1 + 15 + 1 + 8 + 3 + 1

    private let directory: CoherenceDirectory

    init(node: NodeID, _ directory: CoherenceDirectory) {
        self.directory = directory
        super.init(node: node)
    }

    override var lineLength: Int { Self.lineLength }

    override var lineCount: Int { directory.layout.tagBlocks.count }

    override func appendLines(_ lines: Range<Int>, to text: inout [UInt8]) {
        let infos = directory.withPages { pages in
            lines.map { pages.allocator.info(of: BlockIndex(UInt32(pages.layout.tagBlocks.lowerBound + $0))) }
        }
        for (index, info) in infos.enumerated() {
            text.append(lines.lowerBound + index, width: 8)
            text.appendBlank()
            text.append(hex: info.address.rawValue, digits: 13)
            text.appendBlank()
            text.append("\(info.state)", width: 8)
            text.append(info.taggedPages, width: 5)
            text.append(info.untaggedDataPages, width: 5)
            text.append(info.freeDataPages, width: 5)
            text.append(info.pinnedPages, width: 5)
            text.appendBlank()
            text.append(hex: info.tagPageAddress.rawValue, digits: 13)
            text.appendBlank()
            if info.tagPagesReserved > 0 {
                text.append("reserved", width: 8)
                text.append(info.tagPagesReserved, width: 3)
            } else if info.tagPagesUsed > 0 {
                text.append("data", width: 8)
                text.append(info.tagPagesUsed, width: 3)
            } else {
                text.append("free", width: 8)
                text.append(0, width: 3)
            }
            text.appendNewline()
        }
    }
}

/// `pages` of an object: a line a page, with its number in the object, its PFN, its physical address and whether it is
/// pinned; dashes where the object has no page.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class PagesFile: TableFile, @unchecked Sendable {
    private let object: ObjectID
    private let directory: CoherenceDirectory

    init(node: NodeID, _ object: ObjectID, _ directory: CoherenceDirectory) {
        self.object = object
        self.directory = directory
        super.init(node: node)
    }

    override var lineLength: Int { 10 + 1 + 13 + 1 + 15 + 1 + 6 + 1 }

    override var lineCount: Int { directory.withObject(object) { $0.memory.sizeInPages } ?? 0 }

    override func appendLines(_ lines: Range<Int>, to text: inout [UInt8]) {
        let rows: [(PhysicalAddress, isPinned: Bool)?] = directory.look { state in
            guard state.objects.contains(object) else { return [] }
            return lines.map { index in
                state.objects[object].memory.pages[index].map {
                    (directory.layout.address(of: $0), state.pages.allocator.page(at: $0)?.isPinned ?? false)
                }
            }
        }
        let pageSize = directory.layout.pageSize
        for (index, row) in rows.enumerated() {
            text.append(lines.lowerBound + index, width: 10)
            text.appendBlank()
            if let (address, isPinned) = row {
                text.append(Int(address.rawValue / pageSize), width: 13)
                text.appendBlank()
                text.append(hex: address.rawValue, digits: 13)
                text.appendBlank()
                text.append(isPinned ? "pinned" : "-", width: 6)
            } else {
                text.append("            - -               -", width: 36)
            }
            text.appendNewline()
        }
    }
}
