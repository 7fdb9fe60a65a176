import TagMemCore

/// `views/0` to `views/f`: an object's memory through one address tag.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class ViewFile: CheckedMemoryFile, @unchecked Sendable {
    private let address: AddressTag

    init(
        _ fileSystem: FileSystem, node: NodeID, _ object: ObjectID, tag: AddressTag, isWritable: Bool
    ) throws(FileError) {
        address = tag
        try super.init(
            fileSystem, node: node, Alias(object: object, kind: .view(tag)), isWritable: isWritable)
    }

    override var name: String { address.digit }
    override var deferredFaultBit: UInt32 { 1 << UInt32(address.rawValue) }
    override var tag: AddressTag? { address }

    override func access(
        _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
    ) throws(FileError) -> MemoryAccess {
        MemoryAccess(purpose, alias, at: offset, count: count, tag: address, user: user)
    }
}
