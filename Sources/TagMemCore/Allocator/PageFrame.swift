/// A page of physical memory that the allocator gives out: a block and a position in it.
///
/// ```
///    31                    shift            0
///   | block               | position         |    position < dataPages: a Data Page, else a Tag Page
/// ```
///
/// Frames are not dense (a block of 33 pages takes 64 numbers), so that both halves are found without a division.
/// `BlockLayout` converts frames to physical addresses and back.
public struct PageFrame: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

extension PageFrame {
    @inline(__always)
    init(_ place: Place, _ geometry: BlockGeometry) {
        self.init(
            rawValue: place.block.rawValue &<< geometry.frameShift
                | UInt32(truncatingIfNeeded: place.position))
    }
}

/// A page as the allocator's inside names it.
struct Place: Equatable {
    let block: BlockIndex
    /// Below `dataPages` a Data Page, from there on a Tag Page.
    let position: Int

    @inline(__always)
    init(_ block: BlockIndex, _ position: Int) {
        self.block = block
        self.position = position
    }

    @inline(__always)
    init(_ frame: PageFrame, _ geometry: BlockGeometry) {
        block = BlockIndex(frame.rawValue &>> geometry.frameShift)
        position = Int(frame.rawValue & (1 &<< geometry.frameShift &- 1))
    }
}
