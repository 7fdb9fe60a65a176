import Glibc
import TagMemCore

/// The state of every line of memory; which memory that is, a `LineMap` says.
///
/// Four bytes a line, committed as they are written.
@safe
struct LineTable: ~Copyable {
    // SAFETY: `states` is mapped in `init` for `lineCount` lines and unmapped in `deinit`; every access checks its
    // index against `lineCount`.
    private let states: UnsafeMutablePointer<LineState>
    let lineCount: Int
    /// Lines with a holder, a chunk each.
    private var heldLines: [Int32]

    /// - Throws: `DRAMError` if this process cannot have that much address space.
    init(lineCount: Int) throws(DRAMError) {
        self.lineCount = lineCount
        heldLines = [Int32](repeating: 0, count: lineCount / Self.chunk + 1)
        let size = lineCount * MemoryLayout<LineState>.stride
        let base = unsafe mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else {
            throw DRAMError(size: UInt64(size), errno: errno)
        }
        unsafe states = unsafe base.bindMemory(to: LineState.self, capacity: lineCount)
    }

    /// A table of no lines: what is left while somebody has borrowed the real one.
    init() {
        lineCount = 0
        heldLines = []
        // SAFETY: never dereferenced, as there are no lines.
        guard let nowhere = unsafe UnsafeMutablePointer<LineState>(bitPattern: 8) else {
            preconditionFailure("8 is no null pointer")
        }
        unsafe states = unsafe nowhere
    }

    deinit { if lineCount > 0 { unsafe munmap(states, lineCount * MemoryLayout<LineState>.stride) } }

    subscript(line: Int) -> LineState {
        @inline(__always) get {
            precondition(line >= 0 && line < lineCount)
            return unsafe states[line]
        }
        @inline(__always) set {
            precondition(line >= 0 && line < lineCount)
            let change = unsafe (newValue.holder == 0 ? 0 : 1) - (states[line].holder == 0 ? 0 : 1)
            unsafe states[line] = newValue
            if change != 0 { heldLines[line / Self.chunk] += Int32(change) }
        }
    }

    /// Lines that are looked through together for holders.
    static let chunk = 1 << 12

    var chunkCount: Int { heldLines.count }

    /// The lines of a chunk that have a holder. Costs nothing where there are none.
    func heldLines(inChunk chunk: Int) -> [Int] {
        guard heldLines[chunk] != 0 else { return [] }
        return ((chunk * Self.chunk)..<min((chunk + 1) * Self.chunk, lineCount)).filter {
            self[$0].holder != 0
        }
    }
}
