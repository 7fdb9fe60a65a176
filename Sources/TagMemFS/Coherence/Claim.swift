import TagMemCore

/// What an operation is about to do to memory, and through which alias.
struct Claim {
    enum Purpose: Equatable {
        /// A direct read: the kernel keeps nothing.
        case read
        /// A direct write.
        case write
        /// A read that fills the kernel's page cache, for `pages` pages.
        case fill(pages: Int)
        /// A write through the kernel's page cache, which holds the pages locked.
        case cachedWrite
        /// A page of an object's mapping that comes back. It is served at once; its memory must stay where it is.
        case writeback
    }

    let purpose: Purpose
    let aliases: ObjectAliases
    /// The alias as `LineState` holds it; 0 for `checked`, which nothing is cached through.
    let holder: UInt16
    /// The tag that the accesses are checked against; nil where they are not.
    let checkedTag: AddressTag?
    let footprint: Footprint

    init(
        _ purpose: Purpose, aliases: ObjectAliases, kind: AliasKind?, checkedTag: AddressTag? = nil,
        footprint: Footprint
    ) {
        self.purpose = purpose
        self.aliases = aliases
        self.holder = kind.map { aliases.holder($0) } ?? 0
        self.checkedTag = checkedTag
        self.footprint = footprint
    }

    /// Whether the object's pages are not where they were when the footprint was made.
    var isStale: Bool { footprint.version != aliases.version }

    var isWrite: Bool { purpose == .write || purpose == .cachedWrite }

    /// Whether the kernel keeps what it is given.
    var handsOut: Bool {
        switch purpose {
        case .fill, .cachedWrite: true
        case .read, .write, .writeback: false
        }
    }
}

/// What the directory says to a claim.
enum Grant {
    /// Go ahead, under this mode. The claim is to be ended when the copying is done.
    case granted(TagCheckMode)
    /// A page cannot be handed out: this is the first byte whose granule mismatches. Nothing to end.
    case mismatch(PhysicalAddress, TagCheckMode)
    /// The object's pages have moved, come or gone: the operation is to be begun anew. Nothing to end.
    case stale
    /// Not now and not later. Nothing to end.
    case failed(FileError)
}

enum Admission {
    case decided(Grant)
    /// The claim waits its turn; see `CoherenceDirectory.wait`.
    case queued(Waiter)
}

/// An operation that waits: it is run with the directory's decision, once, on whatever thread brings it about.
protocol DeferredOperation: AnyObject, Sendable {
    func run(_ grant: Grant)
}

/// A place in the directory's queue. Its variables are guarded by the directory's lock.
final class Waiter: @unchecked Sendable {
    enum Condition {
        case claim(Claim)
        /// No page is handed out through a view of the object that its tags refuse, and no checked access under way.
        case modeChange(ObjectAliases, to: TagCheckMode)
        /// All recalls asked for up to this one are done.
        case recalls(upTo: UInt64)
        /// The job's next step can be done.
        case job(PageJob)
    }

    let condition: Condition
    /// Bytes kept for the operation while it waits.
    let bytes: Int
    var grant: Grant?
    var operation: (any DeferredOperation)?

    init(_ condition: Condition, bytes: Int = 0) {
        self.condition = condition
        self.bytes = bytes
    }
}
