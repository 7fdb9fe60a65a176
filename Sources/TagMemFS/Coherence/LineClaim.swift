/// Lines that an operation touches, and what it does to them.
struct LineClaim {
    enum Intent {
        /// Copied from.
        case read
        /// Copied to, directly: cached nowhere.
        case write
        /// Copied from for the kernel to keep.
        case handOut
        /// Copied to, and kept by the kernel, which wrote to its page first.
        case cachedWrite
        /// A page that comes back: served at once; its memory must stay where it is.
        case writeback
        /// Tags that are looked at while the data they belong to is copied.
        case check
        /// Tags that are looked at while it is decided whether a page is handed out.
        case checkOnce
        /// Data whose tags are changed: no view may have it cached.
        case clearOfViews

        /// Whether an operation that waits keeps its place on the lines.
        var isReservable: Bool {
            switch self {
            case .clearOfViews, .writeback: false
            case .read, .write, .handOut, .cachedWrite, .check, .checkOnce: true
            }
        }
    }

    let start: Int
    let count: Int
    let intent: Intent

    var lines: Range<Int> { start..<start + count }
}
