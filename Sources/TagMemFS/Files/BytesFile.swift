/// A file of bytes that never change: the device tree and its properties.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class BytesFile: OpenFile, @unchecked Sendable {
    private let bytes: [UInt8]

    init(node: NodeID, _ bytes: [UInt8]) {
        self.bytes = bytes
        super.init(node: node)
    }

    override func read(
        _ reply: consuming Reply, at offset: UInt64, size: Int, isFill: Bool, isNonblocking: Bool
    ) {
        if isFill { return reply.error(.notSupported) }
        guard offset < bytes.count else { return reply.endOfFile() }
        reply.bytes(Array(bytes[Int(offset)...].prefix(size)))
    }
}
