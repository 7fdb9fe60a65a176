extension [UInt8] {
    /// Appends text so that XML reads it back, in an attribute's value or between tags.
    ///
    /// Line ends and tabs become references, which keeps them in attributes. Characters that XML 1.0 has no way to
    /// write (controls, U+FFFE and U+FFFF) become U+FFFD.
    mutating func appendEscaped(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": self += "&amp;".utf8
            case "<": self += "&lt;".utf8
            case ">": self += "&gt;".utf8
            case "\"": self += "&quot;".utf8
            case "\t", "\n", "\r": self += "&#\(scalar.value);".utf8
            case "\0"..<" ", "\u{FFFE}", "\u{FFFF}": self += "\u{FFFD}".utf8
            default: self += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            }
        }
    }
}

extension String {
    /// Whether it is an XML name of ASCII characters, as all of SVG's are.
    var isXMLName: Bool {
        var bytes = utf8.makeIterator()
        guard let first = bytes.next(), first.isASCIILetter else { return false }
        while let byte = bytes.next() {
            let isOther =
                (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ":")
            guard byte.isASCIILetter || isOther else { return false }
        }
        return true
    }
}

extension UInt8 {
    fileprivate var isASCIILetter: Bool { (0x41...0x5a).contains(self) || (0x61...0x7a).contains(self) }
}
