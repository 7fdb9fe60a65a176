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
            return try VirtMachine(machine).map(ram: size).withBlockSize(blockBytes)
        }
        let size = wholeBlocks((size ?? otherSize ?? Self.defaultSize).value)
        let base = base ?? otherBase ?? Self.defaultBase
        return try MemoryMap(base: PhysicalAddress(base.value), size: size).withBlockSize(blockBytes)
    }

    /// Bytes of an emulated page.
    private var pageBytes: UInt64 { pageSize?.value ?? Page.size }

    /// Bytes of the Tag Pages that are reserved together, where the options say so and not a device tree.
    private var blockBytes: UInt64 { UInt64(blockSize ?? 1) * pageBytes }

    /// The pages and Tag Blocks of the machine's memory.
    func makeLayout(of map: MemoryMap) throws -> BlockLayout {
        let sizes = map.regions.filter { $0.kind == .tagStorage }.map(\.blockSize)
        let largest = max(pageBytes, sizes.max() ?? 0)
        for size in sizes where largest % size != 0 {
            throw Failure("tag storage in blocks of \(size) and of \(largest) bytes cannot be used together")
        }
        guard largest % pageBytes == 0, largest / pageBytes <= 64 else {
            throw Failure(
                "blocks of \(largest) bytes of tag storage are not 1 to 64 pages of \(pageBytes) bytes")
        }
        return try BlockLayout(map: map, pageSize: Int(pageBytes), blockSize: Int(largest / pageBytes))
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
        let block = blockBytes * TagGranule.bytesPerTagByte
        // What is too large is for the map to say.
        guard size % block != 0, size <= PhysicalAddress.limit else { return size }
        let rounded = (size / block + 1) * block
        warn("size \(size) is rounded up to \(rounded), whole Tag Blocks of \(block >> 10) KiB")
        return rounded
    }
}
