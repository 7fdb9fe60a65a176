import SVGDrawing

/// Reports as an SVG document, a panel each: the share of tag storage that is given back over time, below the best
/// possible, with the pages in use as its background.
public func plot(of reports: [SimulationReport]) -> [UInt8] {
    let height = PlotPanel.height * Double(reports.count)
    var drawing = SVGDocument(
        width: PlotPanel.width, height: height, title: "Tag storage given back",
        description: "Over time, the share of Tag Pages that is given back, and the share that could be.")
    drawing.style(PlotPanel.style)
    drawing.rect(x: 0, y: 0, width: PlotPanel.width, height: height, ["class": "paper"])
    for (index, report) in reports.enumerated() {
        let offset = svgNumber(Double(index) * PlotPanel.height)
        drawing.group(["transform": "translate(0 \(offset))"]) { PlotPanel(report).draw(on: &$0) }
    }
    return drawing.finish()
}

/// The picture of one run.
private struct PlotPanel {
    static let width = 960.0
    static let height = 340.0
    /// Readable for people who see few colours: blue, orange and greys (Okabe and Ito, 2008).
    static let style = """
        text { font: 12px system-ui, sans-serif; fill: #222 } .name { font-size: 15px; font-weight: 600 }
        .end { text-anchor: end } .middle { text-anchor: middle }
        .paper { fill: #fff } .axis { stroke: #222 } .grid { stroke: #ddd }
        .untagged { fill: #e4e4e4 } .tagged { fill: #c4c4c4 } .missed { fill: #d55e00; fill-opacity: .35 }
        .given { fill: none; stroke: #0072b2; stroke-width: 2 }
        .possible { fill: none; stroke: #222; stroke-width: 1.2; stroke-dasharray: 5 3 }
        """

    /// The area of the curves.
    private let left = 60.0
    private let right = 940.0
    private let top = 62.0
    private let bottom = 292.0

    private let report: SimulationReport
    /// Where each stretch of events lies: its middle, from 0 to 1.
    private let times: [Double]

    init(_ report: SimulationReport) {
        self.report = report
        var times: [Double] = []
        var seen = 0
        for stretch in report.series.stretches {
            times.append((Double(seen) + Double(stretch.events) / 2) / Double(max(report.events, 1)))
            seen += stretch.events
        }
        self.times = times
    }

    func draw(on drawing: inout SVGDocument) {
        let blocks = Double(report.parameters.blocks)
        let pages = blocks * 33
        let tagged = curve { Double($0.tagged) / pages }
        let used = curve { Double($0.tagged + $0.untagged) / pages }
        let given = curve { 1 - Double($0.reserved) / blocks }
        let possible = curve { 1 - Double($0.needed) / blocks }
        let ground = curve { _ in 0 }

        drawing.polygon(used + tagged.reversed(), ["class": "untagged"])
        drawing.polygon(tagged + ground.reversed(), ["class": "tagged"])
        drawAxes(on: &drawing)
        drawing.polygon(possible + given.reversed(), ["class": "missed"])
        drawing.polyline(possible, ["class": "possible"])
        drawing.polyline(given, ["class": "given"])
        drawLegend(on: &drawing)
    }

    private func curve(_ share: (MachineState.Mean) -> Double) -> [SVGPoint] {
        zip(times, report.series.stretches).map { time, stretch in point(time, share(stretch.mean)) }
    }

    private func point(_ time: Double, _ share: Double) -> SVGPoint {
        SVGPoint(left + (right - left) * time, bottom - (bottom - top) * share)
    }

    private func drawAxes(on drawing: inout SVGDocument) {
        for quarter in 0...4 {
            let share = Double(quarter) / 4
            let y = point(0, share).y
            drawing.line(from: SVGPoint(left, y), to: SVGPoint(right, y), ["class": "grid"])
            drawing.text("\(quarter * 25) %", x: left - 8, y: y + 4, ["class": "end"])
        }
        let step = tickStep(report.events)
        for tick in stride(from: 0, through: report.events, by: step) {
            let x = point(Double(tick) / Double(max(report.events, 1)), 0).x
            drawing.line(from: SVGPoint(x, bottom), to: SVGPoint(x, bottom + 5), ["class": "axis"])
            drawing.text(grouped(tick), x: x, y: bottom + 19, ["class": "middle"])
        }
        drawing.line(from: SVGPoint(left, bottom), to: SVGPoint(right, bottom), ["class": "axis"])
        drawing.line(from: SVGPoint(left, top), to: SVGPoint(left, bottom), ["class": "axis"])
        drawing.text(
            "pages allocated and freed", x: (left + right) / 2, y: bottom + 37, ["class": "middle"])
    }

    private func drawLegend(on drawing: inout SVGDocument) {
        drawing.text(report.workload, x: left, y: 24, ["class": "name"])
        let parameters = report.parameters
        drawing.text(
            "given back on average: \(percent(report.givenBack.mean)), possible: \(percent(report.possible.mean))"
                + " (\(parameters.blocks) Tag Blocks, background \(parameters.backgroundPercent), seed \(parameters.seed))",
            x: right, y: 24, ["class": "end"])
        var x = left
        func entry(_ text: String, _ mark: (inout SVGDocument, Double) -> Void) {
            mark(&drawing, x)
            drawing.text(text, x: x + 30, y: 48)
            x += 44 + 6.6 * Double(text.count)
        }
        func box(_ name: SVGValue) -> (inout SVGDocument, Double) -> Void {
            { $0.rect(x: $1, y: 38, width: 24, height: 12, ["class": name]) }
        }
        func stroke(_ name: SVGValue) -> (inout SVGDocument, Double) -> Void {
            { $0.line(from: SVGPoint($1, 44), to: SVGPoint($1 + 24, 44), ["class": name]) }
        }
        entry("Tag Pages given back", stroke("given"))
        entry("possible", stroke("possible"))
        entry("reserved without need", box("missed"))
        entry("pages in tagged use", box("tagged"))
        entry("in untagged use, of all pages", box("untagged"))
    }
}

extension MachineState {
    /// Means over a stretch of events.
    fileprivate struct Mean {
        let reserved: Double
        let needed: Double
        let untagged: Double
        let tagged: Double
    }
}

extension TimeSeries.Stretch {
    fileprivate var mean: MachineState.Mean {
        let events = Double(max(events, 1))
        return MachineState.Mean(
            reserved: Double(sum.reserved) / events, needed: Double(sum.needed) / events,
            untagged: Double(sum.untagged) / events, tagged: Double(sum.tagged) / events)
    }
}

/// 1, 2 or 5 times a power of ten, of which five to ten make the range.
func tickStep(_ range: Int) -> Int {
    var power = 1
    while true {
        for factor in [1, 2, 5] where range / (factor * power) <= 10 { return factor * power }
        power *= 10
    }
}

/// Digits in groups of three, with thin spaces.
func grouped(_ number: Int) -> String {
    var text = String(number)
    var position = text.count - 3
    while position > 0 {
        text.insert("\u{2009}", at: text.index(text.startIndex, offsetBy: position))
        position -= 3
    }
    return text
}
