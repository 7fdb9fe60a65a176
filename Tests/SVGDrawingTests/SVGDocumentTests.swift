import TestSupport
import Testing

@testable import SVGDrawing

@Suite("SVGDocument") struct SVGDocumentTests {
    private func text(_ document: consuming SVGDocument) -> String {
        String(decoding: document.finish(), as: UTF8.self)
    }

    @Test("an empty drawing has its size, its view box and its title") func empty() {
        let document = SVGDocument(width: 20, height: 10.5, title: "a & b", description: "d")
        let root = #"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10.5" viewBox="0 0 20 10.5""#
        #expect(
            text(document) == "\(root) role=\"img\">\n<title>a &amp; b</title>\n<desc>d</desc>\n</svg>\n")
        let box = SVGViewBox(x: -1, y: 0, width: 2, height: 3)
        #expect(
            text(SVGDocument(width: 1, height: 1, viewBox: box, title: "")).contains("viewBox=\"-1 0 2 3\""))
    }

    @Test("every shape is one element, with its attributes and its tooltip") func shapes() {
        var document = SVGDocument(width: 1, height: 1, title: "")
        let start = document.bytes.count
        document.rect(x: 0, y: 1.5, width: 2, height: 3, ["class": "tagged"], tooltip: "page <7>")
        document.line(from: SVGPoint(0, 1), to: SVGPoint(2, 3))
        document.polyline([SVGPoint(0, 0.25), SVGPoint(-1, 2)], ["fill": "none", "stroke-width": 1.25])
        document.polygon([SVGPoint(0, 0)])
        document.path("M0 0H1z", ["opacity": 1])
        document.text("x < y", x: 1, y: 2, ["text-anchor": "end"])
        document.group(["id": "g"], tooltip: "all") { $0.element("circle", ["r": 1]) }
        document.style("a > b {}")
        let lines = String(decoding: document.bytes[start...], as: UTF8.self).split(separator: "\n")
        #expect(
            lines == [
                #"<rect x="0" y="1.5" width="2" height="3" class="tagged"><title>page &lt;7&gt;</title></rect>"#,
                #"<line x1="0" y1="1" x2="2" y2="3"/>"#,
                #"<polyline points="0,0.25 -1,2" fill="none" stroke-width="1.25"/>"#,
                #"<polygon points="0,0"/>"#,
                #"<path d="M0 0H1z" opacity="1"/>"#,
                #"<text x="1" y="2" text-anchor="end">x &lt; y</text>"#,
                #"<g id="g">"#, "<title>all</title>", #"<circle r="1"/>"#, "</g>",
                "<style>a &gt; b {}</style>",
            ])
        #expect(xmlComplaint(document.finish()) == nil)
    }

    @Test("no text can break a drawing")
    func hostileTexts() {
        let texts = [
            "</title></svg>", "\"><script>", "&#0;&bogus;", "\0\u{1}\u{1b}\n\r\t", "]]>", "\u{FFFE}\u{FFFF}",
            "🦊é",
        ]
        var document = SVGDocument(width: 1, height: 1, title: texts.joined())
        for text in texts {
            document.rect(x: 0, y: 0, width: 1, height: 1, ["data-name": .text(text)], tooltip: text)
            document.text(text, x: 0, y: 0, ["class": "\(text)"])
            document.path(text)
            document.style(text)
        }
        let bytes = document.finish()
        #expect(xmlComplaint(bytes) == nil)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("<script"))
    }

    @Test("what is written to a group stays within it, also when the body throws") func groups() {
        struct Failure: Error {}
        var document = SVGDocument(width: 1, height: 1, title: "")
        #expect(throws: Failure.self) {
            try document.group { outer in try outer.group { _ in throw Failure() } }
        }
        #expect(xmlComplaint(document.finish()) == nil)
    }

    @Test("ten thousand elements take some 60 bytes each") func many() {
        var document = SVGDocument(width: 1000, height: 1000, title: "")
        for index in 0..<10_000 {
            document.rect(
                x: Double(index % 100) * 10, y: Double(index / 100) * 10, width: 8, height: 8, ["class": "f"])
        }
        let bytes = document.finish()
        #expect(bytes.count < 650_000 && xmlComplaint(bytes) == nil)
    }

    @Test(
        "numbers are short and exact to three decimals",
        arguments: [
            (0, "0"), (-0.0, "0"), (-0.0004, "0"), (0.0005, "0.001"), (12, "12"), (1.5, "1.5"),
            (-3.125, "-3.125"),
            (99.9996, "100"), (1.01, "1.01"), (1.1, "1.1"), (123_456_789.25, "123456789.25"), (1e20, "1e+20"),
        ] as [(Double, String)])
    func numbers(_ value: Double, _ expected: String) { #expect(svgNumber(value) == expected) }

    @Test(
        "the check of the tests finds what is wrong",
        arguments: [
            "", "text", "<a>", "<a></b>", "<a></a><", "<a/><b", "<a b></a>", "<a b=\"1\" b=\"2\"/>",
            "<a>&</a>",
            "<a>&bogus;</a>", "<a b=\"<\"/>", "<a>\u{1}</a>", "</a>", "<a/>text",
        ])
    func complaints(_ text: String) { #expect(xmlComplaint(Array(text.utf8)) != nil) }
}
