// What the allocator's benchmarks share.
import Glibc
import TagMemCore

/// Moves nothing and zeroes nothing: what is left is the allocator.
struct MetadataOnly: PageMover {
    mutating func zero(_ frame: PageFrame, for use: PageUse) {}
    mutating func clearTags(of frame: PageFrame) {}
    mutating func clean(_ block: BlockIndex, for use: TagPageUse) {}
    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool { true }
    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome { .done }
    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) {}
}

/// xorshift64*: cheap beside what is measured.
struct FastRandom {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15

    @inline(__always)
    mutating func next(below limit: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int((state &* 0x2545_f491_4f6c_dd1d).multipliedFullWidth(by: UInt64(limit)).high)
    }
}

/// Memory in huge pages, zeroed.
@safe
struct Table<Element: BitwiseCopyable>: ~Copyable {
    // SAFETY: `elements` lies in the mapping, which is made in `init` and unmapped in `deinit`; users index within it.
    let elements: UnsafeMutableBufferPointer<Element>
    let base: UnsafeMutableRawPointer
    private let mapping: UnsafeMutableRawBufferPointer

    init(count: Int) {
        let huge = 2 << 20
        let bytes = count * MemoryLayout<Element>.stride
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let start = unsafe mmap(nil, bytes + huge, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else {
            preconditionFailure("no memory for the benchmark")
        }
        unsafe mapping = UnsafeMutableRawBufferPointer(start: start, count: bytes + huge)
        unsafe base = start + (-Int(bitPattern: start) & (huge - 1))
        unsafe madvise(base, bytes, MADV_HUGEPAGE)
        unsafe elements = UnsafeMutableBufferPointer(
            start: base.bindMemory(to: Element.self, capacity: count), count: count)
    }

    deinit { unsafe munmap(mapping.baseAddress, mapping.count) }
}

func memoryMap(bytes: Int) throws -> MemoryMap {
    try MemoryMap(base: PhysicalAddress(0x4000_0000), size: UInt64(bytes))
}

/// Bytes that the machine can give without taking them from others.
func availableMemory() -> Int {
    let file = unsafe open("/proc/meminfo", O_RDONLY)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let size = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
    let text = String(decoding: bytes.prefix(max(0, size)), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 } ?? 0
}
