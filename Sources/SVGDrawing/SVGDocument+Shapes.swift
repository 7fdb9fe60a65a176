/// The shapes. Each takes further attributes, such as `["class": "tagged"]` or `["fill": "none", "stroke": "#444"]`, and
/// where it can have one a tooltip, which browsers show when the pointer rests on it.
extension SVGDocument {
    public mutating func rect(
        x: Double, y: Double, width: Double, height: Double, _ attributes: SVGAttributes = [:],
        tooltip: String? = nil
    ) {
        shape(
            "rect",
            ["x": .number(x), "y": .number(y), "width": .number(width), "height": .number(height)],
            attributes, tooltip)
    }

    public mutating func line(
        from start: SVGPoint, to end: SVGPoint, _ attributes: SVGAttributes = [:], tooltip: String? = nil
    ) {
        shape(
            "line",
            ["x1": .number(start.x), "y1": .number(start.y), "x2": .number(end.x), "y2": .number(end.y)],
            attributes, tooltip)
    }

    /// An open line through the points. Fill is black unless given: `["fill": "none"]`.
    public mutating func polyline(
        _ points: some Sequence<SVGPoint>, _ attributes: SVGAttributes = [:], tooltip: String? = nil
    ) {
        shape("polyline", ["points": .text(coordinates(points))], attributes, tooltip)
    }

    /// A closed area.
    public mutating func polygon(
        _ points: some Sequence<SVGPoint>, _ attributes: SVGAttributes = [:], tooltip: String? = nil
    ) {
        shape("polygon", ["points": .text(coordinates(points))], attributes, tooltip)
    }

    /// Path data as SVG defines it: "M0 0H10V10z".
    public mutating func path(_ data: String, _ attributes: SVGAttributes = [:], tooltip: String? = nil) {
        shape("path", ["d": .text(data)], attributes, tooltip)
    }

    /// One line of text. (x, y) is where its baseline starts, or ends with `["text-anchor": "end"]`.
    public mutating func text(_ text: String, x: Double, y: Double, _ attributes: SVGAttributes = [:]) {
        startTag("text", ["x": .number(x), "y": .number(y)])
        for (key, value) in attributes { attribute(key, value) }
        bytes.append(UInt8(ascii: ">"))
        bytes.appendEscaped(text)
        bytes += "</text>\n".utf8
    }

    private mutating func shape(
        _ name: String, _ geometry: SVGAttributes, _ attributes: SVGAttributes, _ tooltip: String?
    ) {
        startTag(name, geometry)
        for (key, value) in attributes { attribute(key, value) }
        endTag(name, tooltip)
    }

    private func coordinates(_ points: some Sequence<SVGPoint>) -> String {
        var text = ""
        for point in points {
            if !text.isEmpty { text += " " }
            text += "\(svgNumber(point.x)),\(svgNumber(point.y))"
        }
        return text
    }
}

public struct SVGPoint: Sendable, Equatable {
    public var x: Double
    public var y: Double

    public init(_ x: Double, _ y: Double) {
        self.x = x
        self.y = y
    }
}
