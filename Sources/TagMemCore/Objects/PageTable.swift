/// Which page of physical memory holds which page of an object.
///
/// ```
///    chunks:  | number 0 | number 1 | number 7 | …      in order; a chunk without pages is not there
///    chunk:   512 entries
///    entry:   31       30 … 0
///            | pending | frame |      all ones: no page there
/// ```
///
/// A pending page belongs to the object but is not prepared yet: to everybody but the allocator it is not there.
///
/// Memory is in proportion to the chunks with pages, four bytes a page where they are full, wherever they lie. A look-up
/// takes constant time where the pages are without holes, wherever they begin, and otherwise the logarithm of the chunks
/// that are missing. A chunk comes and goes with one move of those behind it in the list. Not thread-safe.
public struct PageTable: Sendable {
    var chunks: ContiguousArray<Chunk> = []
    /// Pages that the table has room for; those behind are absent.
    public private(set) var count = 0
    /// Pages that are there, prepared or not.
    public private(set) var present = 0

    /// Pages are numbered below this.
    public static let limit = 1 << 31

    public init() {}

    /// Makes room for pages below `count`. Constant time.
    public mutating func extend(to count: Int) {
        precondition(count <= Self.limit, "an object has no such page")
        self.count = max(self.count, count)
    }

    /// Forgets the room from `count` on, which must be absent pages. Constant time.
    public mutating func shorten(to count: Int) {
        guard count < self.count else { return }
        precondition(end <= count, "the object has pages there")
        self.count = count
        if chunks.isEmpty { chunks = [] }
    }

    /// The page at `index`, if it is there and prepared.
    @inline(__always)
    public subscript(index: Int) -> PageFrame? {
        guard let position = position(of: index) else { return nil }
        let entry = chunks[position].entries[index & Chunk.mask]
        return entry & Chunk.pendingBit == 0 ? PageFrame(rawValue: entry) : nil
    }

    /// The page at `index`, prepared or not.
    public func frame(at index: Int) -> PageFrame? {
        guard let position = position(of: index) else { return nil }
        let entry = chunks[position].entries[index & Chunk.mask]
        return entry == Chunk.absent ? nil : PageFrame(rawValue: entry & ~Chunk.pendingBit)
    }

    /// Puts a page that is not prepared at `index`, where none is.
    public mutating func insertPending(_ frame: PageFrame, at index: Int) {
        precondition(index >= 0 && index < count, "the table has no room there")
        let position = firstPosition(from: index >> Chunk.shift)
        if position == chunks.count || chunks[position].number != index >> Chunk.shift {
            chunks.insert(Chunk(number: index >> Chunk.shift), at: position)
        }
        precondition(
            chunks[position].entries[index & Chunk.mask] == Chunk.absent, "the object has a page there")
        chunks[position].entries[index & Chunk.mask] = frame.rawValue | Chunk.pendingBit
        chunks[position].present += 1
        present += 1
    }

    /// The page at `index` is prepared.
    public mutating func setReady(_ index: Int) {
        let position = existing(index)
        let entry = chunks[position].entries[index & Chunk.mask]
        guard entry & Chunk.pendingBit != 0 else { return }
        chunks[position].entries[index & Chunk.mask] = entry & ~Chunk.pendingBit
        chunks[position].ready += 1
    }

    /// The page at `index` has moved.
    public mutating func relocate(_ index: Int, to frame: PageFrame) {
        let position = existing(index)
        let pending = chunks[position].entries[index & Chunk.mask] & Chunk.pendingBit
        chunks[position].entries[index & Chunk.mask] = pending | frame.rawValue
    }

    /// Takes the page at `index`, which is there, out.
    public mutating func remove(_ index: Int) {
        let position = existing(index)
        if chunks[position].entries[index & Chunk.mask] & Chunk.pendingBit == 0 {
            chunks[position].ready -= 1
        }
        chunks[position].entries[index & Chunk.mask] = Chunk.absent
        chunks[position].present -= 1
        present -= 1
        if chunks[position].present == 0 { chunks.remove(at: position) }
    }

    /// The chunk of a page that is there.
    private func existing(_ index: Int) -> Int {
        guard let position = position(of: index),
            chunks[position].entries[index & Chunk.mask] != Chunk.absent
        else { preconditionFailure("the object has no page there") }
        return position
    }

    /// Where the chunk of `index` is in the list; nil if none of its pages is there.
    @inline(__always)
    private func position(of index: Int) -> Int? {
        let number = index >> Chunk.shift
        let position = firstPosition(from: number)
        return position < chunks.count && chunks[position].number == number ? position : nil
    }

    /// The first chunk in the list that is not below `number`; the list's count if there is none.
    ///
    /// Numbers rise by one at least, so that the first and the last say where a number can be: at one place, if no chunk
    /// is missing.
    @inline(__always)
    func firstPosition(from number: Int) -> Int {
        guard let first = chunks.first?.number, let last = chunks.last?.number, number > first else {
            return 0
        }
        if number > last { return chunks.count }
        var low = max(0, chunks.count - 1 - (last - number))
        var high = min(number - first, chunks.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
