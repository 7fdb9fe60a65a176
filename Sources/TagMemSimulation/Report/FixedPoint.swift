/// A number with so many decimals: 12.30. It must be finite, and its digits fit into 63 bits.
func fixed(_ value: Double, _ decimals: Int) -> String {
    var scale = 1
    for _ in 0..<decimals { scale *= 10 }
    let units = Int((value * Double(scale)).rounded())
    let (whole, part) = units.magnitude.quotientAndRemainder(dividingBy: UInt(scale))
    let sign = units < 0 ? "-" : ""
    guard decimals > 0 else { return "\(sign)\(whole)" }
    return "\(sign)\(whole).\(String(UInt(scale) + part).dropFirst())"
}

/// A share as a percentage with one decimal.
func percent(_ share: Double) -> String { fixed(share * 100, 1) + " %" }
