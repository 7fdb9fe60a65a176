import TagMemCore
import Testing

@testable import TagMemFS

/// Every transition on every one of the 65,536 values that it may be applied to.
@Suite("LineState") struct LineStateTests {
    private static let holder: UInt16 = 0x3f
    private static let recalled: UInt16 = 0x80
    private static let refilled: UInt16 = 0x100
    private static let wanted: UInt16 = 0x200
    private static let readers: UInt16 = 0x7c00
    private static let writer: UInt16 = 0x8000

    /// The first value that `body` refuses.
    private func firstRefused(_ body: (LineState) -> Bool) -> LineState? {
        for rawValue in UInt16.min...UInt16.max where !body(LineState(rawValue: rawValue)) {
            return LineState(rawValue: rawValue)
        }
        return nil
    }

    /// Whether `new` has the bits of `mask` as in `value` and all others as in `old`.
    private func changes(_ old: LineState, to new: LineState, _ mask: UInt16, _ value: UInt16) -> Bool {
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
                    && $0.isWanted == ($0.rawValue & Self.wanted != 0)
                    && $0.hasReaders == ($0.rawValue & Self.readers != 0)
                    && $0.hasWriter == ($0.rawValue & Self.writer != 0)
                    && $0.isBusy == ($0.rawValue & (Self.readers | Self.writer) != 0)
            } == nil)
    }

    @Test("readers are counted, the writer is a bit; nothing else changes")
    func readersAndWriter() {
        #expect(
            firstRefused {
                let count = $0.rawValue & Self.readers
                if count != Self.readers, !$0.hasWriter,
                    !changes($0, to: $0.addingReader, Self.readers, count + 0x400)
                {
                    return false
                }
                if $0.hasReaders, !changes($0, to: $0.removingReader, Self.readers, count - 0x400) {
                    return false
                }
                if !$0.isBusy, !changes($0, to: $0.addingWriter, Self.writer, Self.writer) { return false }
                return !$0.hasWriter || changes($0, to: $0.removingWriter, Self.writer, 0)
            } == nil)
    }

    @Test("as many readers fit as are promised")
    func maximumReaders() {
        var state = LineState(rawValue: 0)
        for _ in 0..<LineState.maximumReaders { state = state.addingReader }
        #expect(state.rawValue == Self.readers)
        for _ in 0..<LineState.maximumReaders { state = state.removingReader }
        #expect(state.rawValue == 0)
    }

    @Test("recalls, refills and wants change their own bits")
    func flags() {
        #expect(
            firstRefused {
                if $0.holder != 0, !changes($0, to: $0.recalled, Self.recalled, Self.recalled) {
                    return false
                }
                return changes($0, to: $0.refilled, Self.refilled, Self.refilled)
                    && changes($0, to: $0.notRefilled, Self.refilled, 0)
                    && changes($0, to: $0.wanted, Self.wanted, Self.wanted)
                    && changes($0, to: $0.notWanted, Self.wanted, 0)
                    && changes($0, to: $0.released, Self.holder | Self.recalled | Self.refilled, 0)
            } == nil)
    }

    @Test("a new holder changes the holder alone", arguments: 0..<UInt16(AliasKind.count) * 2)
    func holders(_ holder: UInt16) {
        #expect(firstRefused { changes($0, to: $0.held(by: holder), Self.holder, holder) } == nil)
    }

    @Test(
        "a line that is moved takes holder and recall along, and leaves readers and wants", arguments: 0..<64)
    func moves(_ bits: UInt16) {
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
        for rawValue in UInt16.min...UInt16.max {
            guard let kind = AliasKind(rawValue: rawValue) else { continue }
            #expect(kind.rawValue == rawValue)
            #expect(rawValue > 0 && rawValue < AliasKind.count)
            #expect(kind.isView == LineState(rawValue: rawValue).isHeldByView)
            kinds.append(kind)
        }
        #expect(kinds == [.mem, .tags, .tagsHex] + AddressTag.all.map { .view($0) })
    }
}
