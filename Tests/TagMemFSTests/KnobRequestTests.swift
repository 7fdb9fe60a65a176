import Testing

@testable import TagMemFS

@Suite("KnobRequest") struct KnobRequestTests {
    @Test(
        "the numbers are the last words, with one blank before each; the rest is the path",
        arguments: [
            ("tagged/k 1", 1, "tagged/k", ["1"]), ("tagged/k  1", 1, "tagged/k ", ["1"]),
            ("tagged/a b 0 64K", 2, "tagged/a b", ["0", "64K"]),
            ("tagged/ 1  0 64K", 2, "tagged/ 1 ", ["0", "64K"]),
            // A blank that is part of a larger character.
            ("tagged/\u{600} 1", 1, "tagged/\u{600}", ["1"]),
        ])
    func parts(_ text: String, _ count: Int, _ object: String, _ numbers: [String]) throws {
        let request = try #require(KnobRequest(text, numbers: count))
        #expect(Array(request.object.utf8) == Array(object.utf8))
        #expect(request.numbers == numbers)
    }

    @Test("what has too few words is none", arguments: ["", " ", "1", " 1", "tagged/k", "tagged/k ", "a 1 "])
    func tooFew(_ text: String) { #expect(KnobRequest(text, numbers: 1) == nil) }
}
