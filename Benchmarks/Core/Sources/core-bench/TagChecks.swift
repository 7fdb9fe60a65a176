// What a check of tags costs, in alternation with a memcpy of the same data: medians and their ratio.
import Glibc
import TagMemCore

enum TagChecks {
    private static let rounds = 15
    private static let mebibyte = 1 << 20
    private static let base: UInt64 = 0x4000_0000

    static func run() throws {
        let dram = try DRAM(map: memoryMap(bytes: 64 << 20))
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: mebibyte, alignment: 4096)
        defer { unsafe target.deallocate() }
        let tag = AddressTag(truncating: 5)
        for part in 0..<64 {
            let address = PhysicalAddress(base + UInt64(part * mebibyte))
            dram.fillTags(tag.matchingAllocationTag, at: address, count: mebibyte)
            unsafe target.initializeMemory(as: UInt8.self, repeating: UInt8(part))
            unsafe dram.write(UnsafeRawBufferPointer(target), to: address)
        }
        printHeading(
            "A check of tags against memcpy of the data:",
            ["data", "memcpy", "check of its tags", "check / memcpy"])
        for (name, size) in [("4 KiB", 4096), ("64 KiB", 65536), ("1 MiB", mebibyte)] {
            var (copies, checks): ([Double], [Double]) = ([], [])
            let count = max(64, (16 << 20) / size)
            for _ in 0..<rounds {
                // Memory that is not in the caches, as the data of a request is not: every call takes the next piece.
                var position = 0
                func next() -> PhysicalAddress {
                    defer { position = (position + size) % (64 << 20) }
                    return PhysicalAddress(base + UInt64(position))
                }
                copies.append(
                    time(count) {
                        for _ in 0..<count {
                            unsafe dram.read(
                                UnsafeMutableRawBufferPointer(rebasing: target[..<size]), from: next())
                        }
                    })
                position = 0
                checks.append(
                    time(count) {
                        for _ in 0..<count {
                            precondition(dram.firstMismatch(of: tag, at: next(), count: size) == nil)
                        }
                    })
            }
            printRow([
                name, nanoseconds(median(copies)), nanoseconds(median(checks)),
                "\(number(ratio(checks, to: copies) * 100)) %",
            ])
        }
    }
}
