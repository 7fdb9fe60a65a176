/// The value of an attribute: text, escaped as it is written, or a number, written with three decimals at most.
public enum SVGValue: Sendable, Equatable {
    case text(String)
    case number(Double)
}

/// Attributes in the order in which they are written: `["class": "free", "x": 3.5]`. Names are the caller's to know, and
/// no element may have one twice.
public typealias SVGAttributes = KeyValuePairs<String, SVGValue>

extension SVGValue: ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) { self = .text(value) }
}

extension SVGValue: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
}

/// A number as SVG reads it, in as few characters as three decimals need: 12, 0.5, -3.125.
///
/// For path data and the like, where numbers are part of a text. It must be finite.
public func svgNumber(_ value: Double) -> String {
    precondition(value.isFinite, "a coordinate must be finite")
    // Beyond this a Double has no three decimals, and its own notation is one of SVG's.
    guard value.magnitude < 1e12 else { return value.description }
    let thousandths = Int((value * 1000).rounded())
    let (whole, part) = thousandths.magnitude.quotientAndRemainder(dividingBy: 1000)
    let sign = thousandths < 0 ? "-" : ""
    guard part > 0 else { return "\(sign)\(whole)" }
    var decimals = String(1000 + part).dropFirst()
    while decimals.last == "0" { decimals.removeLast() }
    return "\(sign)\(whole).\(decimals)"
}
