// What the model costs by itself, in alternation with a memcpy of the same data: medians and their ratio.
import Glibc
import TagMemCore

let rounds = 15
let mebibyte = 1 << 20

func nanoseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Nanoseconds that one call of `body` takes, over `count` calls.
func time(_ count: Int, _ body: () -> Void) -> Double {
    let start = nanoseconds()
    for _ in 0..<count { body() }
    return Double(nanoseconds() - start) / Double(count)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func row(_ name: String, _ baseline: [Double], _ measured: [Double]) {
    let ratio = median(zip(measured, baseline).map { $0 / $1 })
    func text(_ value: Double, _ digits: Double) -> String { String((value * digits).rounded() / digits) }
    print(
        "| \(name) | \(text(median(baseline), 10)) ns | \(text(median(measured), 10)) ns | \(text(ratio * 100, 100)) % |"
    )
}

let map = try MemoryMap(base: PhysicalAddress(0x4000_0000), size: 64 << 20)
let dram = try DRAM(map: map)
let target = UnsafeMutableRawBufferPointer.allocate(byteCount: mebibyte, alignment: 4096)
let tag = AddressTag(truncating: 5)
dram.fillTags(tag.matchingAllocationTag, at: PhysicalAddress(0x4000_0000), count: 64 << 20)
for part in 0..<64 {
    dram.fillTags(
        tag.matchingAllocationTag, at: PhysicalAddress(0x4000_0000 + UInt64(part * mebibyte)), count: mebibyte
    )
    for index in unsafe target.indices { unsafe target[index] = UInt8(part) }
    unsafe dram.write(
        UnsafeRawBufferPointer(target), to: PhysicalAddress(0x4000_0000 + UInt64(part * mebibyte)))
}

print("| | memcpy of the data | check of its tags | check / memcpy |")
print("| :-- | --: | --: | --: |")
for (name, size) in [("4 KiB", 4096), ("64 KiB", 65536), ("1 MiB", mebibyte)] {
    var copies: [Double] = []
    var checks: [Double] = []
    let count = max(64, (16 << 20) / size)
    for _ in 0..<rounds {
        // Memory that is not in the caches, as the data of a request is not: every call takes the next piece.
        var position = 0
        func next() -> PhysicalAddress {
            defer { position = (position + size) % (64 << 20) }
            return PhysicalAddress(0x4000_0000 + UInt64(position))
        }
        copies.append(
            time(count) {
                unsafe dram.read(UnsafeMutableRawBufferPointer(rebasing: target[..<size]), from: next())
            })
        position = 0
        checks.append(
            time(count) { precondition(dram.firstMismatch(of: tag, at: next(), count: size) == nil) })
    }
    row(name, copies, checks)
}

// The largest memory to emulate, in GiB: the tables of 1 TiB take 2.4 GiB once all of it was used, and the bench's
// numbers of pages another.
try AllocatorBench.run(largest: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 64)
