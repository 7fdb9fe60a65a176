import TagMemCore

/// The page events of a real machine, replayed: what `perf script` prints of `kmem:mm_page_alloc` and
/// `kmem:mm_page_free`.
///
/// *Which pages are tagged.* The recorded machine had no tags. Pages that programs get (`PageEvent.isMovable`) are
/// candidates, and `taggedPercent` in 100 of them, chosen by the seed, are tagged; the kernel's own pages are not.
///
/// *Order n.* 2^n pages, each allocated alone: the allocator has no contiguous ones. Pages may be freed in other units
/// than they were allocated in, as the kernel does with split pages.
///
/// *Beginnings and losses.* The memory is free when the recording begins. A page that is freed and was not allocated in
/// the recording, or found no room here, is passed over; a page that is allocated twice was freed in between.
public final class RecordedWorkload: Workload {
    public let name: String
    public let summary = "the page events of a recorded machine"
    private let taggedPercent: Int
    private let source: () throws -> [UInt8]?

    private var allocations = 0
    private var frees = 0
    private var unknownFrees = 0
    private var missedFrees = 0
    private var failedAllocations = 0
    private var malformedLines = 0
    private var otherLines = 0

    /// - Parameters:
    ///   - name: What reports call it.
    ///   - taggedPercent: 0 to 100.
    ///   - source: The next part of the recording, of any size; nil or empty at its end.
    public init(name: String, taggedPercent: Int, source: @escaping () throws -> [UInt8]?) {
        precondition((0...100).contains(taggedPercent), "a share is 0 to 100 percent")
        self.name = name
        self.taggedPercent = taggedPercent
        self.source = source
    }

    /// - Throws: `RecordingError` if there is no page event, and what the source throws.
    public func run(_ machine: inout Machine) throws {
        var reader = LineReader(source)
        var pages: [UInt64: PageHandle] = [:]
        while let line = try reader.next() {
            switch line {
            case .tooLong: malformedLines += 1
            case .text(let text):
                switch RecordedLine(text) {
                case .event(let event): replay(event, &pages, &machine)
                case .failedAllocation: failedAllocations += 1
                case .other: otherLines += 1
                case .malformed: malformedLines += 1
                }
            }
        }
        if allocations == 0 { throw RecordingError(malformedLines: malformedLines, otherLines: otherLines) }
    }

    private func replay(_ event: PageEvent, _ pages: inout [UInt64: PageHandle], _ machine: inout Machine) {
        switch event.kind {
        case .allocation(let isMovable):
            allocations += 1
            let isTagged = isMovable && machine.random.chance(percent: taggedPercent)
            for frame in event.frames {
                if let page = pages.removeValue(forKey: frame) {
                    missedFrees += 1
                    machine.free(page)
                }
                pages[frame] = machine.allocate(isTagged ? .tagged : .untagged)
            }
        case .free:
            frees += 1
            for frame in event.frames {
                if let page = pages.removeValue(forKey: frame) {
                    machine.free(page)
                } else {
                    unknownFrees += 1
                }
            }
        }
    }

    public var notes: [String] {
        var notes = [
            "\(allocations) allocations and \(frees) frees were replayed, with \(taggedPercent) % of the movable "
                + "allocations tagged."
        ]
        func note(_ count: Int, _ what: String) { if count > 0 { notes.append("\(count) \(what).") } }
        note(
            unknownFrees,
            "freed pages were not allocated in the recording, or had found no room, and were ignored")
        note(missedFrees, "pages were allocated again without having been freed, and were freed first")
        note(failedAllocations, "allocations had failed on the recorded machine, and were ignored")
        note(
            malformedLines,
            "lines with a page event could not be understood, or were too long, and were ignored")
        note(otherLines, "lines were no page events, and were ignored")
        return notes
    }
}

/// A recording without any allocation.
public struct RecordingError: Error, Equatable, CustomStringConvertible {
    public let malformedLines: Int
    public let otherLines: Int

    public var description: String {
        "no event kmem:mm_page_alloc that could be understood, in \(malformedLines + otherLines) lines; "
            + "is it what 'perf script' prints?"
    }
}
