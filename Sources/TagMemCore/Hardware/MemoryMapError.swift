/// What is wrong with a memory map.
public enum MemoryMapError: Error, Equatable, CustomStringConvertible {
    case noMemory
    case emptyRegion(PhysicalAddress)
    case outOfRange(PhysicalAddress, size: UInt64)
    case misaligned(PhysicalAddress, size: UInt64)
    case overlap(PhysicalAddress)
    case tagStorageMissing(of: PhysicalAddress)
    case tagStorageShared(PhysicalAddress)
    /// Of the tag storage at that address.
    case blockSize(UInt64, of: PhysicalAddress)
    case partialBlock(of: PhysicalAddress, blockSize: UInt64)
    /// A reservation is not within one region of data or ordinary memory.
    case reservedElsewhere(PhysicalAddress, size: UInt64)

    public var description: String {
        switch self {
        case .noMemory: "the machine has no memory"
        case .emptyRegion(let start): "the memory at \(start) has size 0"
        case .outOfRange(let start, let size):
            "\(size) bytes of memory at \(start) reach past the 52-bit physical address space"
        case .misaligned(let start, let size):
            "the memory at \(start) (\(size) bytes) is not a whole number of aligned Tag Blocks (128 KiB), or of pages where it has no tag storage"
        case .overlap(let start): "the memory at \(start) overlaps the memory before it"
        case .tagStorageMissing(let start): "no tag storage holds all tags of the memory at \(start)"
        case .tagStorageShared(let start): "the tag storage at \(start) would hold the tags of two memories"
        case .blockSize(let size, let start):
            "the block size of the tag storage at \(start), \(size) bytes, is not a whole number of pages"
        case .partialBlock(let start, let blockSize):
            "the tags of the memory at \(start) are not a whole number of aligned blocks of \(blockSize) bytes"
        case .reservedElsewhere(let start, let size):
            "the reservation of \(size) bytes at \(start) is not within one memory that is not tag storage"
        }
    }
}
