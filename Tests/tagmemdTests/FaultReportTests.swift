import Testing

@testable import tagmemd

@Suite("Reports of faults") struct FaultReportTests {
    private static let text = """
        fault access=store size=8 address=0x168000000048 offset=0x8000000048 address_tag=6 allocation_tag=2 mode=sync \
        pid=12 comm=a b=c
        tags 0x7fffffff00 ----------------7797277777777777
        frame 0x1149 /a path/of program
        frame 0x20 /lib/libc.so.6
        """

    @Test("a report is read, and shown with the memory that there is") func shown() throws {
        let report = try #require(FaultReport(Self.text))
        #expect(report.command == "a b=c" && report.pid == "12" && report.isStore && report.size == 8)
        #expect(report.frames.map(\.module) == ["/a path/of program", "/lib/libc.so.6"])
        #expect(report.frames.map(\.offset) == [0x1149, 0x20])
        #expect(
            FaultPrinter.summary(of: report)
                == "tagmemd: a b=c (12): store of 8 bytes at 0x168000000048: the pointer has tag 6, the memory 2 (sync)\n"
        )
        #expect(
            FaultPrinter.map(of: report)
                == "    0x108000000000  7  7  9  7 [2] 7  7  7  7  7  7  7  7  7  7  7\n")
    }

    @Test("what is no report is none") func junk() {
        for junk in [
            "", "fault", "fault access=load comm=x", "tags 0x0 00", "fault size=x address=0x1 comm=a",
            String(Self.text.dropFirst(1)), Self.text.replacing("address=0x168000000048", with: "address=16"),
        ] {
            #expect(FaultReport(junk) == nil, "\(junk)")
        }
        // Lines that make no sense are left out.
        let odd = Self.text.replacing("frame 0x20", with: "frame 20").replacing("tags ", with: "tag ")
        #expect(FaultReport(odd)?.frames.count == 1 && FaultReport(odd)?.tags == "")
    }
}
