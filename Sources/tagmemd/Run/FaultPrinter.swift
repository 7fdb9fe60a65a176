import Glibc
import TagMemFS

/// Shows faults on stderr: what happened, the tags around it, and the calls that led there.
struct FaultPrinter {
    private var symbols = Symbols()

    mutating func print(_ report: FaultReport) {
        var text = Self.summary(of: report) + Self.map(of: report)
        for (index, frame) in report.frames.enumerated() {
            // A call's return address is behind it.
            let place = symbols.place(of: index == 0 ? frame.offset : frame.offset &- 1, in: frame.module)
            text += "    #\(index) \(place)\n"
            // What calls main is nobody's fault.
            if place.hasPrefix("main at ") { break }
        }
        _ = writeAll(Array(text.utf8), to: STDERR_FILENO)
    }

    static func summary(of report: FaultReport) -> String {
        "tagmemd: \(report.command) (\(report.pid)): \(report.isStore ? "store" : "load") of \(report.size) "
            + "byte\(report.size == 1 ? "" : "s") at 0x\(String(report.address, radix: 16)): the pointer has tag "
            + "\(report.addressTag), the memory \(report.allocationTag) (\(report.mode))\n"
    }

    /// A line for each 256 bytes of memory that are there: the address with tag 0, and a digit a granule, the faulting one
    /// in brackets.
    static func map(of report: FaultReport) -> String {
        let digits = Array(report.tags)
        let base = (report.address &- report.offset) & ~tagMask
        var text = ""
        for start in stride(from: 0, to: digits.count, by: 16) {
            let row = start..<min(start + 16, digits.count)
            if digits[row].allSatisfy({ $0 == "-" }) { continue }
            text += "    0x" + String(base &+ report.firstTag + UInt64(start) * 16, radix: 16) + " "
            for index in row {
                let isFault = report.firstTag + UInt64(index) * 16 == report.offset & ~15
                text += isFault ? "[\(digits[index])]" : " \(digits[index]) "
            }
            while text.last == " " { text.removeLast() }
            text += "\n"
        }
        return text
    }

    /// The tag of an attached address: TAGMEM_TAG_MASK.
    private static let tagMask: UInt64 = 0xf << 40
}

/// Names and lines of code, from addr2line(1), where it is installed.
struct Symbols {
    private var known: [String: String] = [:]

    /// Longest answer for a place that is taken.
    private static let limit = 1 << 16

    mutating func place(of offset: UInt64, in module: String) -> String {
        let address = "0x\(String(offset, radix: 16))"
        let key = "\(module) \(address)"
        if let place = known[key] { return place }
        let words = ["addr2line", "-C", "-i", "-f", "-p", "-e", module, address]
        let answer = try? HostProgram.output(of: words, isQuiet: true, limit: Self.limit)
        let lines =
            answer.map { String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init) } ?? []
        var place = "\(module)+\(address)"
        if let first = lines.first, !first.hasPrefix("??") {
            // What is inlined there follows, indented, as what it is inlined into.
            place = lines.joined(separator: "\n      ")
        }
        known[key] = place
        return place
    }
}
