/// A page event of the Linux kernel: `kmem:mm_page_alloc` or `kmem:mm_page_free`.
struct PageEvent: Equatable {
    enum Kind: Equatable {
        /// `isMovable`: see `PageEvent.isMovable`.
        case allocation(isMovable: Bool)
        case free
    }

    let kind: Kind
    /// The page frame number of the first page, and how many there are: 2^order.
    let frame: UInt64
    let order: Int

    /// The largest order that any configuration of the kernel has.
    static let orderLimit = 13
    /// Physical addresses have 52 bits or fewer.
    static let frameLimit: UInt64 = 1 << 40

    var frames: Range<UInt64> { frame..<frame + 1 << UInt64(order) }
}

/// What a line of a recording is.
enum RecordedLine: Equatable {
    case event(PageEvent)
    /// The kernel had no page: the allocation's frame number is 0 or -1.
    case failedAllocation
    /// Another event, a comment, a line of a call chain.
    case other
    /// A page event that makes no sense.
    case malformed
}

extension RecordedLine {
    /// Reads a line of `perf script`, or of ftrace's `trace`:
    ///
    ///     sort  7743 [000]   945.438: kmem:mm_page_alloc: page=0x1657f4 pfn=0x1657f4 order=0 migratetype=1 gfp_flags=…
    ///     kmem:mm_page_free: page=0x1657f4 pfn=1464308 order=0
    ///
    /// What comes before the event's name is passed over, so it does not matter which columns there are. After it only
    /// the fields that are used here must be there, in any order. `page=` is an address whose meaning has changed over
    /// time, and is not used.
    init(_ line: [UInt8]) {
        let words = line.split(separator: UInt8(ascii: " "))
        // A program may be called like an event; its name comes before.
        guard
            let name = words.lastIndex(where: {
                $0.isEvent("mm_page_alloc:") || $0.isEvent("mm_page_free:")
            })
        else {
            self = .other
            return
        }
        self.init(isAllocation: words[name].isEvent("mm_page_alloc:"), fields: words[(name + 1)...])
    }

    private init(isAllocation: Bool, fields: ArraySlice<ArraySlice<UInt8>>) {
        self = .malformed
        func value(_ key: String) -> String? {
            fields.first { $0.starts(with: key.utf8) }
                .map { String(decoding: $0.dropFirst(key.utf8.count), as: UTF8.self) }
        }
        guard let frame = value("pfn=").flatMap(number), let order = value("order=").flatMap(number),
            order <= PageEvent.orderLimit
        else { return }
        var kind = PageEvent.Kind.free
        if isAllocation {
            guard let flags = value("gfp_flags=") else { return }
            kind = .allocation(isMovable: PageEvent.isMovable(flags))
            if frame == 0 || frame == .max {
                self = .failedAllocation
                return
            }
        }
        guard frame < PageEvent.frameLimit else { return }
        self = .event(PageEvent(kind: kind, frame: frame, order: Int(order)))
    }
}

extension PageEvent {
    /// Names of the kernel that stand for flags with `__GFP_MOVABLE` among them.
    private static let movableNames: Set<Substring> = [
        "__GFP_MOVABLE", "GFP_HIGHUSER_MOVABLE", "GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT",
    ]

    /// Whether the flags are those of memory that the kernel may move, which is what programs get: anonymous memory and
    /// file pages. Flags are names with `|` between them; those without a name are a number, in which bit 3 is
    /// `__GFP_MOVABLE`.
    static func isMovable(_ flags: String) -> Bool {
        flags.split(separator: "|").contains { flag in
            movableNames.contains(flag) || number(String(flag)).map { $0 & 0x8 != 0 } ?? false
        }
    }
}

/// A number without a sign: decimal, or hexadecimal after 0x. nil if it is none, or does not fit.
private func number(_ text: String) -> UInt64? {
    let isHexadecimal = text.hasPrefix("0x")
    let digits = isHexadecimal ? text.dropFirst(2) : text[...]
    guard let first = digits.first, first != "+", first != "-" else { return nil }
    return UInt64(digits, radix: isHexadecimal ? 16 : 10)
}

extension ArraySlice<UInt8> {
    /// Whether it is the event's name, alone or after that of its group.
    fileprivate func isEvent(_ name: String) -> Bool {
        guard count >= name.utf8.count, suffix(name.utf8.count).elementsEqual(name.utf8) else { return false }
        return count == name.utf8.count || self[endIndex - name.utf8.count - 1] == UInt8(ascii: ":")
    }
}
