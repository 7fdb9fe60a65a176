import TagMemCore

/// `views/0` to `views/f`: an object's memory through one address tag.
final class ViewFile: CheckedMemoryFile, @unchecked Sendable {
    private let tag: AddressTag

    init(
        _ fileSystem: FileSystem, node: NodeID, aliases: ObjectAliases, tag: AddressTag, isWritable: Bool
    ) throws(FileError) {
        self.tag = tag
        try super.init(fileSystem, node: node, aliases: aliases, kind: .view(tag), isWritable: isWritable)
    }

    override var name: String { tag.digit }
    override var deferredFaultBit: UInt32 { 1 << UInt32(tag.rawValue) }
    override func checkedTag(at offset: UInt64) -> AddressTag? { tag }
}
