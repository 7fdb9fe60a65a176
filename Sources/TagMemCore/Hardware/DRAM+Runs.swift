/// Accesses that may cross from one region to the next, or into memory that is not MTE-capable.
extension DRAM {
    /// Calls `body` with the contiguous pieces of the `count` bytes at `address`, lowest first.
    ///
    /// - Throws: `MemoryFault.noMemory` with the first address in a hole, before `body` is called at all.
    func forEachRun(at address: PhysicalAddress, count: Int, _ body: (Run) -> Void) throws(MemoryFault) {
        try requireMemory(at: address, count: count)
        var position = address
        var left = count
        while left > 0, let run = run(at: position, limit: left) {
            body(run)
            position = position + UInt64(run.count)
            left -= run.count
        }
    }

    /// - Throws: `MemoryFault.noMemory` with the first address in a hole of the `count` bytes at `address`.
    func requireMemory(at address: PhysicalAddress, count: Int) throws(MemoryFault) {
        var position = address
        var left = count
        while left > 0 {
            guard let run = run(at: position, limit: left) else { throw .noMemory(position) }
            position = position + UInt64(run.count)
            left -= run.count
        }
    }
}
