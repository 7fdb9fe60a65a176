/// A drawing in Scalable Vector Graphics (SVG 1.1), written as it is drawn: every call appends an element.
///
/// ```swift
/// var drawing = SVGDocument(width: 640, height: 480, title: "Memory")
/// drawing.style(".tagged { fill: #0072b2 }")
/// drawing.group(["transform": "translate(10 10)"]) { drawing in
///     drawing.rect(x: 0, y: 0, width: 8, height: 8, ["class": "tagged"], tooltip: "page 7: tagged")
/// }
/// write(drawing.finish())
/// ```
///
/// The result is well-formed whatever the texts are: they are escaped, and what XML cannot hold is replaced. Coordinates
/// are in user units, x to the right and y down. A few bytes an element are all that it keeps, so tens of thousands of
/// elements are fine; classes and one `style` keep them short.
public struct SVGDocument: Sendable {
    /// What is written so far, without the end of the root element.
    var bytes: [UInt8] = []

    /// - Parameters:
    ///   - width: How wide it is shown, in CSS pixels.
    ///   - height: How high it is shown, in CSS pixels.
    ///   - viewBox: The part of the plane that is shown; from (0, 0) to (width, height) unless given.
    ///   - title: What the drawing is called; a browser shows it as the title of its window.
    ///   - description: What it shows, for those who cannot see it.
    public init(
        width: Double, height: Double, viewBox: SVGViewBox? = nil, title: String, description: String? = nil
    ) {
        let box = viewBox ?? SVGViewBox(x: 0, y: 0, width: width, height: height)
        let edges = "\(svgNumber(box.x)) \(svgNumber(box.y)) \(svgNumber(box.width)) \(svgNumber(box.height))"
        startTag(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "width": .number(width), "height": .number(height),
                "viewBox": .text(edges), "role": "img",
            ])
        bytes += ">\n".utf8
        element("title", text: title)
        if let description { element("desc", text: description) }
    }

    /// The whole document, in UTF-8.
    public consuming func finish() -> [UInt8] {
        bytes += "</svg>\n".utf8
        return bytes
    }

    /// Any element without children, but for a tooltip: the elements that have no function of their own.
    public mutating func element(_ name: String, _ attributes: SVGAttributes, tooltip: String? = nil) {
        startTag(name, attributes)
        endTag(name, tooltip)
    }

    /// Any element that holds nothing but text.
    public mutating func element(_ name: String, _ attributes: SVGAttributes = [:], text: String) {
        startTag(name, attributes)
        bytes += ">".utf8
        bytes.appendEscaped(text)
        bytes += "</\(name)>\n".utf8
    }

    /// A `g` element around all that `body` draws.
    public mutating func group<Failure: Error>(
        _ attributes: SVGAttributes = [:], tooltip: String? = nil,
        _ body: (inout SVGDocument) throws(Failure) -> Void
    ) throws(Failure) {
        startTag("g", attributes)
        bytes += ">\n".utf8
        // Also where the body throws, so that what is drawn stays well-formed.
        defer { bytes += "</g>\n".utf8 }
        if let tooltip { element("title", text: tooltip) }
        try body(&self)
    }

    /// A style sheet for what follows and what came before.
    public mutating func style(_ css: String) { element("style", text: css) }

    /// `<name key="value"`, still open.
    mutating func startTag(_ name: String, _ attributes: SVGAttributes) {
        precondition(name.isXMLName, "an element needs an XML name")
        bytes += "<\(name)".utf8
        for (key, value) in attributes { attribute(key, value) }
    }

    /// Ends an element that has no children but a tooltip.
    mutating func endTag(_ name: String, _ tooltip: String?) {
        guard let tooltip else {
            bytes += "/>\n".utf8
            return
        }
        bytes += "><title>".utf8
        bytes.appendEscaped(tooltip)
        bytes += "</title></\(name)>\n".utf8
    }

    mutating func attribute(_ name: String, _ value: SVGValue) {
        precondition(name.isXMLName, "an attribute needs an XML name")
        bytes += " \(name)=\"".utf8
        switch value {
        case .number(let number): bytes += svgNumber(number).utf8
        case .text(let text): bytes.appendEscaped(text)
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

/// The part of the plane that a drawing shows, scaled to its width and height.
public struct SVGViewBox: Sendable, Equatable {
    public var x: Double
    public var y: Double
    public var width: Double
    public var height: Double

    public init(x: Double, y: Double, width: Double, height: Double) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }
}
