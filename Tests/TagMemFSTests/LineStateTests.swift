import TagMemCore
import Testing

@testable import TagMemFS

/// Every transition on every value that it may be applied to, with a few counts of readers.
@Suite("LineState") struct LineStateTests {
    private static let holder: UInt32 = 0x3f
    private static let recalled: UInt32 = 0x40
    private static let refilled: UInt32 = 0x80
    private static let reserved: UInt32 = 0x100
    private static let claimed: UInt32 = 0x200
    private static let awaited: UInt32 = 0x400
    private static let readers: UInt32 = 0x7fff_0000
    private static let reader: UInt32 = 0x1_0000
    private static let writer: UInt32 = 0x8000_0000

    private static let values: [LineState] = (0..<0x800).flatMap { bits -> [LineState] in
        let counts = [0, 1, 2, 0x3fff, LineState.maximumReaders - 1, LineState.maximumReaders]
        return counts.flatMap { count in
            [0, Self.writer].map { LineState(rawValue: UInt32(bits) | UInt32(count) << 16 | $0) }
        }
    }

    /// The first value that `body` refuses.
    private func firstRefused(_ body: (LineState) -> Bool) -> LineState? { Self.values.first { !body($0) } }

    /// Whether `new` has the bits of `mask` as in `value` and all others as in `old`.
    private func changes(_ old: LineState, to new: LineState, _ mask: UInt32, _ value: UInt32) -> Bool {
        new.rawValue == old.rawValue & ~mask | value
    }

    @Test("the fields are where the diagram shows them")
    func fields() {
        #expect(
            firstRefused {
                $0.holder == $0.rawValue & Self.holder && $0.isHeldByView == ($0.holder & 0x1f >= 16)
                    && $0.isHeldByObject == ($0.rawValue & 0x20 != 0)
                    && $0.isRecalled == ($0.rawValue & Self.recalled != 0)
                    && $0.isRefilled == ($0.rawValue & Self.refilled != 0)
                    && $0.isReserved == ($0.rawValue & Self.reserved != 0)
                    && $0.isClaimed == ($0.rawValue & Self.claimed != 0)
                    && $0.isAwaited == ($0.rawValue & Self.awaited != 0)
                    && $0.isWanted == ($0.isReserved || $0.isClaimed)
                    && $0.hasReaders == ($0.rawValue & Self.readers != 0)
                    && $0.hasWriter == ($0.rawValue & Self.writer != 0)
                    && $0.isBusy == ($0.rawValue & (Self.readers | Self.writer) != 0)
            } == nil)
        #expect(LineState.unusedMask & (0x7ff | Self.readers | Self.writer) == 0)
    }

    @Test("readers are counted, the writer is a bit; nothing else changes")
    func readersAndWriter() {
        #expect(
            firstRefused {
                let count = $0.rawValue & Self.readers
                if count != Self.readers, !$0.hasWriter,
                    !changes($0, to: $0.addingReader, Self.readers, count + Self.reader)
                {
                    return false
                }
                if count != Self.readers,
                    !changes($0, to: $0.addingWriteback, Self.readers, count + Self.reader)
                {
                    return false
                }
                if $0.hasReaders, !changes($0, to: $0.removingReader, Self.readers, count - Self.reader) {
                    return false
                }
                if !$0.isBusy, !changes($0, to: $0.addingWriter, Self.writer, Self.writer) { return false }
                return !$0.hasWriter || changes($0, to: $0.removingWriter, Self.writer, 0)
            } == nil)
    }

    @Test("as many readers fit as are promised, and there is room for write-backs beside those that wait")
    func maximumReaders() {
        var state = LineState(rawValue: 0)
        var waiting = 0
        for _ in 0..<LineState.maximumReaders {
            if !state.hasManyReaders { waiting += 1 }
            state = state.addingReader
        }
        #expect(state.rawValue == Self.readers)
        #expect(waiting == LineState.maximumReaders - LineState.writebackRoom)
        for _ in 0..<LineState.maximumReaders { state = state.removingReader }
        #expect(state.rawValue == 0)
    }

    @Test("recalls, refills, places and claims change their own bits")
    func flags() {
        #expect(
            firstRefused {
                if $0.holder != 0, !changes($0, to: $0.recalled, Self.recalled, Self.recalled) {
                    return false
                }
                return changes($0, to: $0.notRefilled, Self.refilled, 0)
                    && changes($0, to: $0.reserved(true), Self.reserved, Self.reserved)
                    && changes($0, to: $0.reserved(false), Self.reserved, 0)
                    && changes($0, to: $0.claimed(true), Self.claimed, Self.claimed)
                    && changes($0, to: $0.claimed(false), Self.claimed, 0)
                    && changes($0, to: $0.awaited(true), Self.awaited, Self.awaited)
                    && changes($0, to: $0.awaited(false), Self.awaited, 0)
                    && changes($0, to: $0.released, Self.holder | Self.recalled | Self.refilled, 0)
            } == nil)
    }

    @Test(
        "a new holder changes the holder alone, and is given what is recalled again",
        arguments: 0..<64 as Range<UInt32>)
    func holders(_ holder: UInt32) {
        #expect(
            firstRefused {
                changes($0, to: $0.held(by: holder), Self.holder, holder)
                    && changes(
                        $0, to: $0.handedOut(to: holder), Self.holder | ($0.isRecalled ? Self.refilled : 0),
                        holder | ($0.isRecalled ? Self.refilled : 0))
            } == nil)
    }

    @Test(
        "a line that is moved takes holder and recall along, and leaves readers and places",
        arguments: 0..<64 as Range<UInt32>)
    func moves(_ bits: UInt32) {
        let going = Self.holder | Self.recalled | Self.refilled
        let source = LineState(rawValue: bits &* 0x421 & going | ~going)
        #expect(
            firstRefused {
                source.handedOver(to: $0).rawValue == $0.rawValue & ~going | source.rawValue & going
            } == nil)
    }

    @Test("alias kinds are their raw values")
    func aliasKinds() {
        var kinds: [AliasKind] = []
        for rawValue in 0..<0x10000 as Range<UInt32> {
            guard let kind = AliasKind(rawValue: rawValue) else { continue }
            #expect(kind.rawValue == rawValue)
            #expect(rawValue > 0 && rawValue < AliasKind.count)
            #expect(kind.isView == LineState(rawValue: rawValue).isHeldByView)
            kinds.append(kind)
        }
        #expect(kinds == [.mem, .tags, .tagsHex] + AddressTag.all.map { .view($0) })
    }
}
