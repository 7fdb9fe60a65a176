import Testing

@testable import TagMemSimulation

@Suite("Lines of a recording") struct PageEventTests {
    private func line(_ text: String) -> RecordedLine { RecordedLine(Array(text.utf8)) }

    private func allocation(_ frame: UInt64, _ order: Int, movable: Bool) -> RecordedLine {
        .event(PageEvent(kind: .allocation(isMovable: movable), frame: frame, order: order))
    }

    private func free(_ frame: UInt64, _ order: Int) -> RecordedLine {
        .event(PageEvent(kind: .free, frame: frame, order: order))
    }

    @Test("the columns before the event do not matter") func columns() {
        let event = "kmem:mm_page_alloc: page=0x1a2b pfn=0x1a2b order=0 migratetype=1 gfp_flags="
        let flags = "GFP_HIGHUSER_MOVABLE|__GFP_COMP"
        for columns in [
            "", "   ", "  sh  7614 [001]   906.272008: ", "sh 7614/7614 906.272: ", "[000] 906.272008: ",
            "Web Content 12 [001] 1.5:   1 ", "mm_page_free: 7 [001] 1.5: ",
        ] {
            #expect(line(columns + event + flags) == allocation(0x1a2b, 0, movable: true), "\(columns)")
        }
        let freed = "sort  7743 [000]   945.438029:  kmem:mm_page_free: page=0x1657f4 pfn=0x1657f4 order=3"
        #expect(line(freed) == free(0x1657f4, 3))
    }

    @Test("ftrace's lines, decimal frame numbers, and fields in any order") func variants() {
        #expect(
            line("  x-1 [0] d..1. 8.6: mm_page_free: page=00000000d2f41a07 pfn=1155800 order=1")
                == free(1155800, 1))
        #expect(
            line("mm_page_alloc: gfp_flags=GFP_KERNEL nr_free=3 order=2 pfn=7")
                == allocation(7, 2, movable: false))
        #expect(line("mm_page_alloc: pfn=7 order=0 gfp_flags=") == allocation(7, 0, movable: false))
    }

    @Test(
        "flags of pages that programs get",
        arguments: [
            ("GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP", true), ("GFP_TRANSHUGE", true),
            ("GFP_NOFS|__GFP_HIGHMEM|__GFP_MOVABLE|__GFP_COMP", true),
            ("GFP_TRANSHUGE_LIGHT|__GFP_THISNODE", true),
            ("0x140cca", true), ("0x140cc2", false), ("GFP_HIGHUSER|0x8", true),
            ("GFP_KERNEL_ACCOUNT", false),
            ("GFP_HIGHUSER|__GFP_ACCOUNT", false), ("", false), ("|", false),
            ("GFP_HIGHUSER_MOVABLES", false),
            ("none", false), ("8", true), ("-8", false),
        ])
    func movable(_ flags: String, _ expected: Bool) { #expect(PageEvent.isMovable(flags) == expected) }

    @Test(
        "other lines",
        arguments: [
            "", "# captured on: Tue", "   ffffffff81234567 __alloc_pages+0x1 ([kernel.kallsyms])",
            "sh 1 [0] 1.5: kmem:mm_page_free_batched: page=0x1 pfn=0x1 order=0",
            "sh 1 [0] 1.5: kmem:mm_page_alloc_extfrag: page=0x1 pfn=0x1",
            "sh 1 [0] 1.5: sched:sched_switch: prev_comm=mm_page_alloc",
            "xmm_page_alloc: pfn=1 order=0 gfp_flags=0",
            "mm_page_free", "\0\0\0", "pfn=1 order=0",
        ])
    func others(_ text: String) { #expect(line(text) == .other) }

    @Test("an allocation that failed", arguments: ["0", "0x0", "18446744073709551615", "0xffffffffffffffff"])
    func failed(_ frame: String) {
        #expect(
            line("kmem:mm_page_alloc: page=(nil) pfn=\(frame) order=9 gfp_flags=GFP_TRANSHUGE")
                == .failedAllocation)
    }

    @Test(
        "page events that make no sense",
        arguments: [
            "mm_page_free:", "mm_page_free: pfn=0x1", "mm_page_free: order=0", "mm_page_free: pfn= order=0",
            "mm_page_free: pfn=0x order=0", "mm_page_free: pfn=1 order=14", "mm_page_free: pfn=1 order=-1",
            "mm_page_free: pfn=-1 order=0", "mm_page_free: pfn=+1 order=0",
            "mm_page_free: pfn=1 order=0x100000000",
            "mm_page_free: pfn=0x10000000000 order=0", "mm_page_free: pfn=99999999999999999999999 order=0",
            "mm_page_free: pfn=18446744073709551615 order=13", "mm_page_free: pfn=1x order=0",
            "mm_page_free: pfn=0xgg order=0", "mm_page_alloc: pfn=1 order=0",
            "mm_page_alloc: pfn=1 order=64 gfp_flags=0",
            "mm_page_free: pfn=1\torder=0", "mm_page_free: pfn=١ order=0",
        ])
    func malformed(_ text: String) { #expect(line(text) == .malformed) }

    @Test("bytes that are no text") func bytes() {
        let prefix = Array("mm_page_alloc: pfn=1 order=0 gfp_flags=".utf8)
        #expect(RecordedLine(prefix + [0xff, 0xfe, 0x80]) == allocation(1, 0, movable: false))
        #expect(RecordedLine([0xff] + prefix) == .other)
    }
}

@Suite("LineReader") struct LineReaderTests {
    private func lines(_ parts: [String]) throws -> [LineReader.Line] {
        var parts = parts[...]
        var reader = LineReader { parts.popFirst().map { Array($0.utf8) } }
        var lines: [LineReader.Line] = []
        while let line = try reader.next() { lines.append(line) }
        #expect(try reader.next() == nil)
        return lines
    }

    private func text(_ texts: String...) -> [LineReader.Line] { texts.map { .text(Array($0.utf8)) } }

    @Test("lines come out however the stream is cut") func cuts() throws {
        #expect(try lines([]) == [])
        #expect(try lines(["a\nb\n"]) == text("a", "b"))
        #expect(try lines(["a", "b", "\n", "\nc\r", "\nd"]) == text("ab", "", "c", "d"))
        #expect(try lines(["\n"]) == text(""))
    }

    @Test("a line that is too long is skipped, in bounded memory") func tooLong() throws {
        let limit = String(repeating: "x", count: LineReader.limit)
        #expect(try lines([limit, "\nb"]) == text(limit, "b"))
        #expect(try lines([limit, "x\nb"]) == [.tooLong] + text("b"))
        #expect(try lines(["a\n", limit, limit, limit]) == text("a") + [.tooLong])
    }
}
