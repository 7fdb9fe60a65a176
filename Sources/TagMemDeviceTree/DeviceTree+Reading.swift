/// Reading a flattened tree. The blob may be anything: it is checked in full before it is looked at.
extension DeviceTree {
    /// The largest blob that is read, as Linux on arm64 limits it.
    public static let maximumSize = 2 << 20
    /// Nodes within nodes.
    static let maximumDepth = 64
    /// Bytes of a name: what the name of a file may have.
    static let maximumNameLength = 255

    /// - Parameter blob: may be longer than its header says; the rest is not looked at.
    public init(blob: [UInt8]) throws(DeviceTreeError) {
        guard blob.count <= Self.maximumSize else { throw DeviceTreeError(.tooLarge(bytes: blob.count)) }
        self = try FlattenedTree(copying: blob).unflatten()
    }
}
