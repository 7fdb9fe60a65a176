import TagMemCore
import TagMemDeviceTree
import TagMemFS

extension MachineOptions {
    /// The machine's memory. Says on stderr what is unusual about it.
    ///
    /// - Parameters:
    ///   - size: what another option says of it, where `--size` does not.
    ///   - base: likewise for `--base`.
    func makeMap(size otherSize: ByteCount? = nil, base otherBase: ByteCount? = nil) throws -> MemoryMap {
        if let deviceTreeFile { return try map(ofFile: deviceTreeFile) }
        if let machine {
            let size = wholeBlocks((memory ?? VirtMachine.defaultSize).bytes)
            return try VirtMachine(machine).map(ram: size)
        }
        let size = wholeBlocks((size ?? otherSize ?? Self.defaultSize).value)
        let base = base ?? otherBase ?? Self.defaultBase
        return try MemoryMap(base: PhysicalAddress(base.value), size: size)
    }

    /// The tree that shows this machine.
    func makeDeviceTree(of map: MemoryMap) throws -> DeviceTree {
        try DeviceTree(describing: map, in: dialect ?? .proposal)
    }

    private func map(ofFile path: String) throws -> MemoryMap {
        let blob = try readFile(path, limit: DeviceTree.maximumSize)
        do throws(DeviceTreeError) {
            let machine = try MachineDescription(blob: blob)
            for warning in machine.warnings { warn("\(path): \(warning)") }
            return machine.map
        } catch {
            throw Failure("\(path): \(error)")
        }
    }

    private func wholeBlocks(_ size: UInt64) -> UInt64 {
        let block = MemoryMap.dataBytesPerBlock
        // What is too large is for the map to say.
        guard size % block != 0, size <= PhysicalAddress.limit else { return size }
        let rounded = (size / block + 1) * block
        warn("size \(size) is rounded up to \(rounded), whole Tag Blocks of 128 KiB")
        return rounded
    }
}
