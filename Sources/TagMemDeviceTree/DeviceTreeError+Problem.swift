public import TagMemCore

extension DeviceTreeError {
    /// What is wrong with a node or property, or with the blob as a whole.
    public enum Problem: Sendable, Equatable {
        // MARK: The blob
        case tooLarge(bytes: Int)
        /// With libfdt's name for it.
        case malformed(String)
        case tooDeep(Int)
        /// A name that could not be a file's.
        case name
        case twice(String)

        // MARK: Values of properties
        case missing
        case length(Int, unit: Int)
        case cells(UInt64)
        /// A number of more than 64 bits.
        case number
        case outOfRange(PhysicalAddress, size: UInt64)
        case misaligned(PhysicalAddress, size: UInt64, unit: UInt64)
        case ranges(Int)
        case translation
        case phandle(UInt32)

        // MARK: Memory
        case noMemory
        case tooMany(String, limit: Int)
        case overlap(PhysicalAddress, size: UInt64, with: String)

        // MARK: Tag storage
        case noTagged
        case twoTagged
        case blockSize(UInt64)
        case partialBlock(size: UInt64, blockSize: UInt64)
        case storageSize(UInt64, needed: UInt64)
        case holdsOwnTags
        case holdsTagsOfStorage(String)
        case holdsTagsOfNothing(PhysicalAddress, size: UInt64)
        case holdsTagsAgain(PhysicalAddress, of: String)
        case tooSmall(covered: UInt64, of: UInt64, at: PhysicalAddress)
        case partlyMemory(PhysicalAddress, size: UInt64)
        case notCovered(PhysicalAddress, size: UInt64)
        case map(MemoryMapError)
    }
}

extension DeviceTreeError.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLarge(let bytes): "\(bytes) bytes are more than the \(DeviceTree.maximumSize) that are read"
        case .malformed(let text): "malformed (\(text))"
        case .tooDeep(let limit): "more than \(limit) nodes within one another"
        case .name: "a name in it is empty, too long, or has other than printable characters"
        case .twice(let name): "'\(name)' is there twice"

        case .missing: "is missing"
        case .length(let length, let unit):
            "\(length) bytes are not a whole number of \(unit), and at least one"
        case .cells(let count): "\(count) is not between 1 and 4"
        case .number: "has a number of more than 64 bits"
        case .outOfRange(let start, let size):
            "\(hex(size)) bytes at \(start) reach past the 52-bit physical address space"
        case .misaligned(let start, let size, let unit):
            "\(hex(size)) bytes at \(start) are not a whole number of aligned units of \(hex(unit)) bytes"
        case .ranges(let count): "has \(count) ranges where one is needed"
        case .translation: "addresses that are translated are not understood: it must be empty"
        case .phandle(let phandle):
            "there is no memory node, or more than one, whose phandle is \(hex(UInt64(phandle)))"

        case .noMemory: "there is no memory node with memory"
        case .tooMany(let what, let limit): "more than \(limit) \(what)"
        case .overlap(let start, let size, let other): "\(hex(size)) bytes at \(start) overlap \(other)"

        case .noTagged: "none of 'storage-base', 'memory' and 'tagged-memory' says whose tags it holds"
        case .twoTagged:
            "only one of 'storage-base', 'memory' and 'tagged-memory' can say whose tags it holds"
        case .blockSize(let size):
            "\(hex(size)) bytes are not a whole number of pages (0x1000 bytes), and at least one"
        case .partialBlock(let size, let blockSize):
            "\(hex(size)) bytes of tags are not a whole number of blocks of \(hex(blockSize)) bytes"
        case .storageSize(let size, let needed):
            "\(hex(size)) bytes are too \(size < needed ? "small" : "large"): the tags of its memory take exactly \(hex(needed))"
        case .holdsOwnTags: "the tags of this memory would be in itself"
        case .holdsTagsOfStorage(let other): "it would hold the tags of tag storage, \(other), which has none"
        case .holdsTagsOfNothing(let start, let size):
            "it would hold the tags of \(hex(size)) bytes at \(start), where there is no memory"
        case .holdsTagsAgain(let start, let other):
            "the tags of the memory at \(start) are in \(other) already"
        case .tooSmall(let covered, let size, let start):
            "too small: it holds the tags of \(hex(covered)) of the \(hex(size)) bytes at \(start)"
        case .partlyMemory(let start, let size):
            "the \(hex(size)) bytes at \(start) are in no memory node, and the rest is"
        case .notCovered(let start, let size):
            "the \(hex(size)) bytes at \(start) are not described by tag storage nodes"
        case .map(let error): error.description
        }
    }

    private func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
}
