/// What is wrong with an XML document, in a few words; nil if it is well-formed.
///
/// As much of XML as the project writes: elements that nest, attributes in double quotes that are not repeated, the
/// predefined entities and numeric references. No declarations, comments, CDATA or processing instructions.
public func xmlComplaint(_ document: [UInt8]) -> String? {
    var parser = XMLCheck(text: document[...])
    do throws(XMLComplaint) {
        try parser.check()
        return nil
    } catch {
        return "\(error.reason) at byte \(parser.text.startIndex)"
    }
}

private struct XMLComplaint: Error {
    let reason: String
}

private struct XMLCheck {
    var text: ArraySlice<UInt8>
    var open: [ArraySlice<UInt8>] = []

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: ":"): true
        default: false
        }
    }

    mutating func check() throws(XMLComplaint) {
        guard String(validating: text, as: UTF8.self) != nil else { throw XMLComplaint(reason: "no UTF-8") }
        repeat {
            if take("</") {
                let name = text.prefix(while: Self.isName)
                guard name == open.popLast() else { throw XMLComplaint(reason: "tags do not match") }
                text.removeFirst(name.count)
                try expect(">")
            } else if take("<") {
                try element()
            } else {
                try characters()
            }
        } while !open.isEmpty
        while text.first == UInt8(ascii: "\n") { text.removeFirst() }
        guard text.isEmpty else { throw XMLComplaint(reason: "text after the end") }
    }

    private mutating func element() throws(XMLComplaint) {
        let name = text.prefix(while: Self.isName)
        guard !name.isEmpty else { throw XMLComplaint(reason: "an element without a name") }
        text.removeFirst(name.count)
        var attributes: Set<ArraySlice<UInt8>> = []
        while take(" ") {
            let attribute = text.prefix(while: Self.isName)
            guard !attribute.isEmpty, attributes.insert(attribute).inserted else {
                throw XMLComplaint(reason: "an attribute without a name, or twice the same")
            }
            text.removeFirst(attribute.count)
            try expect("=\"")
            while !take("\"") { try character() }
        }
        if take("/>") { return }
        try expect(">")
        open.append(name)
    }

    private mutating func characters() throws(XMLComplaint) {
        guard !open.isEmpty else { throw XMLComplaint(reason: "text outside of the root element") }
        while let first = text.first, first != UInt8(ascii: "<") { try character() }
        guard !text.isEmpty else { throw XMLComplaint(reason: "an element does not end") }
    }

    private mutating func character() throws(XMLComplaint) {
        guard let byte = text.first else { throw XMLComplaint(reason: "the document ends too early") }
        if byte == UInt8(ascii: "<") { throw XMLComplaint(reason: "an unescaped '<'") }
        if byte < 0x20, byte != 0x09, byte != 0x0a, byte != 0x0d { throw XMLComplaint(reason: "a control") }
        text.removeFirst()
        guard byte == UInt8(ascii: "&") else { return }
        let reference = text.prefix(8).prefix { $0 != UInt8(ascii: ";") }
        let name = String(decoding: reference, as: UTF8.self)
        guard ["amp", "lt", "gt", "quot", "apos"].contains(name) || Int(name.dropFirst()) != nil else {
            throw XMLComplaint(reason: "an unknown reference")
        }
        text.removeFirst(reference.count)
        try expect(";")
    }

    private mutating func take(_ token: String) -> Bool {
        guard text.starts(with: token.utf8) else { return false }
        text.removeFirst(token.utf8.count)
        return true
    }

    private mutating func expect(_ token: String) throws(XMLComplaint) {
        guard take(token) else { throw XMLComplaint(reason: "no '\(token)'") }
    }
}
