import SVGDrawing
import TagMemCore

/// The picture in `map.svg`: at most 32 x 32 cells, each of one block or of so many neighbours as it takes.
///
/// ```
///    ┌──────────┬──┐
///    │ free     │  │   the block's Data Pages from below: tagged, untagged, free
///    │ untagged │  │   the strip at the right: its Tag Pages: reserved, data, free
///    │ tagged   │  │
///    └──────────┴──┘
/// ```
struct BlockMap {
    private struct Cell {
        var blocks = 0
        var tagged = 0, untagged = 0, reserved = 0, reused = 0
    }

    private let layout: BlockLayout
    private let blocksPerCell: Int
    private var cells: [Cell]

    private static let columns = 32
    private static let size = 20.0
    private static let gap = 2.0
    private static let dataWidth = 14.0
    private static let left = 120.0
    private static let top = 86.0

    private var blocks: Range<Int> { layout.tagBlocks }
    private var geometry: BlockGeometry { layout.geometry }

    init(_ layout: BlockLayout) {
        self.layout = layout
        let blocks = layout.tagBlocks
        let most = Self.columns * Self.columns
        blocksPerCell = max(1, (blocks.count + most - 1) / most)
        cells = Array(repeating: Cell(), count: (blocks.count + blocksPerCell - 1) / blocksPerCell)
        for index in cells.indices {
            cells[index].blocks = min(blocksPerCell, blocks.count - index * blocksPerCell)
        }
    }

    mutating func add(_ info: BlockInfo) {
        let index = (Int(info.index.rawValue) - blocks.lowerBound) / blocksPerCell
        cells[index].tagged += info.taggedPages
        cells[index].untagged += info.untaggedDataPages
        cells[index].reserved += info.tagPagesReserved
        cells[index].reused += info.tagPagesUsed
    }

    private static let style = """
        svg { background: #fff } text { font: 12px sans-serif; fill: #222 } .h { font-size: 15px; font-weight: bold }
        .a { font-size: 10px; font-family: monospace; fill: #666 } .f { fill: #ececec } .t { fill: #d55e00 }
        .u { fill: #0072b2 } .r { fill: #8c2d04 } .d { fill: #56b4e9 } .n { fill: none }
        """

    func draw() -> [UInt8] {
        let rows = (cells.count + Self.columns - 1) / Self.columns
        let width = Self.left + Double(Self.columns) * (Self.size + Self.gap) + 20
        var drawing = SVGDocument(
            width: width, height: Self.top + Double(rows) * (Self.size + Self.gap) + 20, title: "Tag Blocks",
            description: summary())
        drawing.style(Self.style)
        drawing.text("\(blocks.count) Tag Blocks", x: 20, y: 26, ["class": "h"])
        drawing.text(summary(), x: 20, y: 46)
        drawLegend(&drawing)
        for (index, cell) in cells.enumerated() {
            let x = Self.left + Double(index % Self.columns) * (Self.size + Self.gap)
            let y = Self.top + Double(index / Self.columns) * (Self.size + Self.gap)
            let block = BlockIndex(UInt32(blocks.lowerBound + index * blocksPerCell))
            if index % Self.columns == 0, (index / Self.columns) % 4 == 0 {
                drawing.text("\(layout.address(of: block))", x: 20, y: y + 13, ["class": "a"])
            }
            draw(cell, x, y, text(cell, block, layout.address(of: block)), &drawing)
        }
        return drawing.finish()
    }

    private func draw(_ cell: Cell, _ x: Double, _ y: Double, _ tooltip: String, _ drawing: inout SVGDocument)
    {
        let stripX = x + Self.dataWidth + 1
        let stripWidth = Self.size - Self.dataWidth - 1
        drawing.group(tooltip: tooltip) { drawing in
            drawing.rect(x: x, y: y, width: Self.dataWidth, height: Self.size, ["class": "f"])
            drawing.rect(x: stripX, y: y, width: stripWidth, height: Self.size, ["class": "f"])
            drawBar(
                x, y, Self.dataWidth, [(cell.tagged, "t"), (cell.untagged, "u")],
                of: cell.blocks * geometry.dataPages, &drawing)
            drawBar(
                stripX, y, stripWidth, [(cell.reserved, "r"), (cell.reused, "d")],
                of: cell.blocks * geometry.tagPages, &drawing)
        }
    }

    /// Parts of a whole, one on the other. What there is can be seen, however little.
    private func drawBar(
        _ x: Double, _ y: Double, _ width: Double, _ parts: [(Int, String)], of whole: Int,
        _ drawing: inout SVGDocument
    ) {
        var bottom = y + Self.size
        for (count, style) in parts where count > 0 {
            let height = max(0.5, Self.size * Double(count) / Double(whole))
            bottom -= height
            drawing.rect(x: x, y: max(y, bottom), width: width, height: height, ["class": .text(style)])
        }
    }

    private func text(_ cell: Cell, _ block: BlockIndex, _ address: PhysicalAddress) -> String {
        let first = Int(block.rawValue) - blocks.lowerBound
        let name =
            cell.blocks == 1
            ? "block \(first)" : "blocks \(first) to \(first + cell.blocks - 1)"
        let data = cell.blocks * geometry.dataPages
        let tags = cell.blocks * geometry.tagPages
        return "\(name), from \(address): \(cell.tagged) tagged, \(cell.untagged) untagged, "
            + "\(data - cell.tagged - cell.untagged) free of \(data) Data Pages; \(cell.reserved) reserved, "
            + "\(cell.reused) data, \(tags - cell.reserved - cell.reused) free of \(tags) Tag Pages"
    }

    private func summary() -> String {
        let pageSize = layout.pageSize
        let sum = cells.reduce(into: Cell()) {
            $0.tagged += $1.tagged
            $0.untagged += $1.untagged
            $0.reserved += $1.reserved
            $0.reused += $1.reused
        }
        let tags = blocks.count * geometry.tagPages
        let best = tags - geometry.tagPages * geometry.blocksNeeded(tagged: sum.tagged)
        func percent(_ count: Int) -> String {
            let tenths = tags == 0 ? 0 : count * 1000 / tags
            return "\(tenths / 10).\(tenths % 10) %"
        }
        return "Data memory \(Self.amount(UInt64(blocks.count * geometry.dataPages) * pageSize)), "
            + "tag storage \(Self.amount(UInt64(tags) * pageSize)): \(percent(tags - sum.reserved)) given back "
            + "(best possible now: \(percent(best))), \(percent(sum.reused)) in use for data"
    }

    /// Bytes in the largest unit that has no fraction.
    private static func amount(_ bytes: UInt64) -> String {
        let units = ["TiB", "GiB", "MiB", "KiB"]
        for (index, unit) in units.enumerated() {
            let size: UInt64 = 1 << UInt64(40 - 10 * index)
            if bytes >= size, bytes % size == 0 { return "\(bytes / size) \(unit)" }
        }
        return "\(bytes) bytes"
    }

    private func drawLegend(_ drawing: inout SVGDocument) {
        let entries = [
            ("t", "tagged"), ("u", "untagged"), ("f", "free"), ("r", "Tag Page reserved"),
            ("d", "Tag Page in use for data"),
        ]
        var x = 20.0
        for (style, name) in entries {
            drawing.rect(x: x, y: 57, width: 12, height: 12, ["class": .text(style)])
            drawing.text(name, x: x + 17, y: 67)
            x += 40 + 6.6 * Double(name.utf8.count)
        }
        let scale = blocksPerCell == 1 ? "a cell a block" : "a cell \(blocksPerCell) blocks"
        drawing.text(scale, x: x, y: 67)
    }
}
