import Glibc
import Testing

/// Memory objects, by paths such as `tagged/heap`.
extension Device {
    /// Of the allocator: Data Pages of a Tag Block, and all its pages.
    static let blockData = 32
    static let blockPages = 33
    static let pageSize = 4096

    /// All pages that there are.
    var pages: Int { Int(map.size / 4096 / 32) * Self.blockPages }
    var blocks: Int { Int(map.size / 4096 / 32) }

    func make(_ object: String) throws(Errno) { try check { unsafe mkdir(path(object), 0o755) } }

    func remove(_ object: String) throws(Errno) { try check { unsafe rmdir(path(object)) } }

    func move(_ object: String, to new: String) throws(Errno) {
        try check { unsafe rename(path(object), path(new)) }
    }

    /// Makes an object of so many pages, all zero. Returns its `mem`.
    @discardableResult
    func make(_ object: String, pages: Int) throws(Errno) -> File {
        try make(object)
        let file = try open("\(object)/mem")
        try file.truncate(pages * Self.pageSize)
        return file
    }

    /// Makes an object of so many pages, with a pattern in them. Returns its `mem`.
    @discardableResult
    func make(_ object: String, pages: Int, seed: Int) throws -> File {
        try make(object)
        let file = try open("\(object)/mem")
        try file.writeAll(pattern(seed, pages: pages))
        return file
    }

    // MARK: What there is to see

    /// `meminfo`, in pages.
    func amounts() throws -> [String: Int] {
        var amounts: [String: Int] = [:]
        for line in try contents(of: path("meminfo")).split(separator: "\n") {
            let words = line.split(separator: " ")
            try #require(words.count == 3 && words[0].last == ":" && words[2] == "kB")
            amounts[String(words[0].dropLast())] = try #require(Int(words[1])) / 4
        }
        return amounts
    }

    func amount(_ name: String) throws -> Int { try #require(try amounts()[name]) }

    func counter(_ name: String) throws -> Int { try #require(try counters()[name]) }

    /// Pages that can still be had in a directory.
    func available(_ directory: String) throws(Errno) -> Int {
        var statistics = statvfs()
        try check { unsafe statvfs(path(directory), &statistics) }
        return Int(statistics.f_bavail)
    }

    /// Where the pages of an object are, as `pages` says; nil where it has none.
    func addresses(of object: String) throws -> [UInt64?] {
        try contents(of: path("\(object)/pages")).split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            try #require(words.count == 4)
            return words[2] == "-" ? nil : UInt64(words[2].dropFirst(2), radix: 16)
        }
    }

    /// The block of an address, of data or of tag storage.
    func block(of address: UInt64) -> Int {
        let inTags = address >= map.tagBase
        return Int(inTags ? (address - map.tagBase) / 4096 : (address - map.base) / 4096 / 32)
    }

    // MARK: Knobs

    func knob(_ name: String) throws(Errno) -> String { try contents(of: path("control/\(name)")) }

    func setKnob(_ name: String, _ value: String) throws(Errno) {
        try open("control/\(name)", O_WRONLY).write(value + "\n")
    }

    // MARK: States

    /// Fails unless nothing is in use.
    func expectAllFree(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let isFree = try eventually { try amount("Free") == pages }
        let amounts = try self.amounts()
        #expect(isFree, "\(amounts)", sourceLocation: sourceLocation)
    }

    /// Waits for compaction in the background.
    func expectCompact(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let isCompact = try eventually {
            let amounts = try self.amounts()
            return amounts["TagStorageReserved"] == amounts["TagStorageReservedBest"]
        }
        let amounts = try self.amounts()
        #expect(isCompact, "\(amounts)", sourceLocation: sourceLocation)
    }
}

/// What `fill` of the client's script stores: every word of the pages has a value of its own.
func pattern(_ seed: Int, pages: Int, from first: Int = 0) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(pages * 4096)
    for word in first * 512..<(first + pages) * 512 {
        var value = UInt64(seed) << 32 | UInt64(word)
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: value))
            value >>= 8
        }
    }
    return bytes
}

extension File {
    /// Writes all bytes.
    func writeAll(_ bytes: [UInt8], at offset: UInt64 = 0) throws(Errno) {
        var done = 0
        while done < bytes.count {
            done += try write(Array(bytes[done...].prefix(1 << 20)), at: offset + UInt64(done))
        }
    }

    /// All bytes from `offset` on, `count` at most.
    func readAll(_ count: Int, at offset: UInt64 = 0) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try read(at: offset + UInt64(bytes.count), count: min(count - bytes.count, 1 << 20))
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    /// The number of the first page that does not have the pattern; nil if all have.
    func firstPageUnlike(_ seed: Int, pages: Int) throws(Errno) -> Int? {
        let (found, expected) = (try readAll(pages * 4096), pattern(seed, pages: pages))
        if found == expected { return nil }
        return (0..<pages).first { page in
            Array(found.dropFirst(page * 4096).prefix(4096))
                != Array(expected[page * 4096..<(page + 1) * 4096])
        }
    }

    var size: Int { get throws(Errno) { Int(try status().st_size) } }
}
