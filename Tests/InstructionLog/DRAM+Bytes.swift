public import TagMemCore

extension DRAM {
    /// The bytes at `address`, by value.
    public func bytes(at address: PhysicalAddress, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe bytes.withUnsafeMutableBytes { unsafe read($0, from: address) }
        return bytes
    }

    public func setBytes(_ bytes: [UInt8], at address: PhysicalAddress) {
        // SAFETY: the buffer is the array's, for the closure's duration.
        unsafe bytes.withUnsafeBytes { unsafe write($0, to: address) }
    }
}
