import Testing

@testable import TagMemFS

@Suite("TextCache") struct TextCacheTests {
    let texts = TextCache()
    let node = NodeID(object: 0, role: .map)

    /// A file whose text is as the test says.
    private final class Counted: TextFile, @unchecked Sendable {
        let content = Guarded((text: "", made: 0))
        var made: Int { content.withLock { $0.made } }
        func set(_ text: String) { content.withLock { $0.text = text } }

        override func makeText() -> String {
            content.withLock { content in
                content.made += 1
                return content.text
            }
        }
    }

    private func file(_ text: String) -> Counted {
        let file = Counted(node: node, texts)
        file.set(text)
        return file
    }

    @Test("a text stays as it is until it is read from its beginning") func stays() {
        let file = file("one")
        #expect(file.text(at: 0).bytes == Array("one".utf8))
        file.set("another")
        #expect(file.text(at: 2).bytes == Array("one".utf8))
        #expect(file.text(at: 0).bytes == Array("another".utf8))
        #expect(file.made == 2)
    }

    @Test("5,000 descriptors of one file that say the same share one text") func shared() {
        let text = String(repeating: "x", count: 100_000)
        let files = (0..<5000).map { _ in file(text) }
        let first = files[0].text(at: 0)
        for file in files { #expect(file.text(at: 0) === first) }
        #expect(texts.bytes < 200_000)
    }

    @Test("what is kept is bounded, and what is dropped is made anew") func bounded() {
        let files = (0..<100).map { file(String(repeating: "\($0)", count: 100_000)) }
        for file in files {
            _ = file.text(at: 0)
            #expect(texts.bytes <= TextCache.capacity)
        }
        for (index, file) in files.enumerated() {
            #expect(file.text(at: 5).bytes == Array(String(repeating: "\(index)", count: 100_000).utf8))
            #expect(texts.bytes <= TextCache.capacity)
        }
        #expect(files[0].made == 2)
    }

    @Test("a text that is larger than all that is kept can be read") func large() {
        let file = file(String(repeating: "x", count: 2 * TextCache.capacity))
        _ = file.text(at: 0)
        #expect(file.text(at: 1 << 20).bytes.count == 2 * TextCache.capacity)
        #expect(file.made == 1)
        _ = self.file("small").text(at: 0)
        #expect(texts.bytes < 1000)
    }

    @Test("no lock is held while a text is made") func nested() {
        /// Asks for its own text while it makes it, as another thread might.
        final class Nested: TextFile, @unchecked Sendable {
            let isInside = Flag()
            override func makeText() -> String {
                isInside.set() ? "outer " + String(decoding: text(at: 0).bytes, as: UTF8.self) : "inner"
            }
        }
        let file = Nested(node: node, texts)
        #expect(file.text(at: 0).bytes == Array("outer inner".utf8))
    }
}
