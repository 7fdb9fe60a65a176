import TagMemCore

/// A request on memory: what it asks for, and once it is resolved, what memory that is, which lines it touches and what
/// it does to them.
///
/// It is resolved and admitted in one hold of the directory's lock, and anew when pages that it is about move, come or
/// go while it waits. Granted, its memory stays where it is until it is ended.
struct MemoryAccess {
    enum Purpose: Equatable {
        /// A direct read: the kernel keeps nothing.
        case read
        /// A direct write.
        case write
        /// A read that fills the kernel's page cache, for `pages` pages.
        case fill(pages: Int)
        /// A write through the kernel's page cache, whose page has the bytes already.
        case cachedWrite
        /// A page of a mapping that comes back. It is served at once.
        case writeback
        /// What an instruction does, by ioctl: the file that it comes through has no cached pages of its own to go by.
        case instruction(data: Effect, tags: Effect)
    }

    /// What an instruction does to memory.
    enum Effect: Equatable {
        case none, load, store
        /// A store of zeros.
        case zero
    }

    let alias: Alias
    let purpose: Purpose
    /// Of the file; of `checked`, the address.
    let offset: UInt64
    /// Bytes of the file that the request asks for.
    let requested: Int
    /// The tag that the granules are checked against; nil where they are not.
    let tag: AddressTag?
    /// Whose request it is, for what one user may have waiting.
    let user: UInt32
    /// In page cache mode: where the request stands among all that the kernel has sent.
    var number: UInt64 = 0
    /// Bytes of an answer to the same request that are kept until it is over.
    var keptAnswer = 0

    // MARK: As it was resolved last

    /// What is copied.
    var footprint = Footprint()
    /// The lines, in the order in which an operation that waits takes its place on them.
    var claims = ShortList<LineClaim>()
    /// Bytes of the file that the footprint covers.
    var count = 0
    /// The mode that it was granted under.
    var mode = TagCheckMode.none
    /// Whether the alias held all of its pages already when it was granted.
    var wasHeld = false

    init(
        _ purpose: Purpose, _ alias: Alias, at offset: UInt64, count: Int, tag: AddressTag? = nil,
        user: UInt32 = 0
    ) {
        self.alias = alias
        self.purpose = purpose
        self.offset = offset
        requested = count
        self.tag = tag
        self.user = user
    }

    var isWrite: Bool { changesData || changesTags }

    /// Whether it stores bytes of its file.
    var changesData: Bool {
        switch purpose {
        case .write, .cachedWrite: true
        case .instruction(let data, _): data == .store || data == .zero
        case .read, .fill, .writeback: false
        }
    }

    /// Whether it stores tags as such, and not as bytes of a file that shows them.
    var changesTags: Bool { if case .instruction(_, .store) = purpose { true } else { false } }

    var isInstruction: Bool { if case .instruction = purpose { true } else { false } }
    var isFill: Bool { if case .fill = purpose { true } else { false } }

    /// Whether the kernel keeps what it is given.
    var handsOut: Bool { isFill || purpose == .cachedWrite }

    /// Whether tags are looked at while it copies: those of fills are while they are decided.
    var checksDirectly: Bool { tag != nil && !isFill }

    /// Bytes that are kept for it while it waits.
    var keptBytes: Int { isWrite && !isInstruction ? requested : keptAnswer }

    /// The object's bytes that it is about, as asked.
    var addresses: Range<UInt64> {
        let start = offset.multipliedReportingOverflow(by: alias.scale)
        let length = UInt64(requested).multipliedReportingOverflow(by: alias.scale)
        let end = start.partialValue.addingReportingOverflow(length.partialValue)
        let overflows = start.overflow || length.overflow || end.overflow
        return overflows ? 0..<UInt64.max : start.partialValue..<end.partialValue
    }

    /// What to do with a line of the file's own memory; nil for nothing.
    private var intent: LineClaim.Intent? {
        switch purpose {
        case .read: .read
        case .write: .write
        case .fill: .handOut
        case .cachedWrite: .cachedWrite
        case .writeback: .writeback
        case .instruction(.none, tags: .store): .clearOfViews
        case .instruction(.none, _): nil
        case .instruction(.load, _): .read
        case .instruction(.store, _), .instruction(.zero, _): .write
        }
    }

    /// What to do with a line that has the tags of the file's own memory; nil for nothing.
    private var intentOnTags: LineClaim.Intent? {
        switch purpose {
        case .instruction(_, tags: .store): .write
        case .instruction(_, tags: .load): .read
        case .writeback: nil
        default: tag == nil ? nil : isFill ? .checkOnce : .check
        }
    }

    /// Takes the lines of `spans`, and of what belongs to them: checks at the tags, changes of tags at the views.
    mutating func claim(_ spans: ShortList<LineSpan>) {
        claims = ShortList()
        if let intent {
            for index in spans.indices {
                claims.append(LineClaim(start: spans[index].start, count: spans[index].count, intent: intent))
            }
        }
        for index in spans.indices where spans[index].companion >= 0 {
            let span = spans[index]
            if span.isTagStorage {
                guard changesData else { continue }
                claims.append(LineClaim(start: span.companion, count: span.count, intent: .clearOfViews))
            } else if let intent = intentOnTags {
                claims.append(LineClaim(start: span.companion, count: span.count, intent: intent))
            }
        }
    }

    /// Brings the claims into the order in which places are taken: ascending, so that no two that wait can wait for
    /// each other; what is not reserved comes last.
    mutating func sortClaims() {
        guard claims.count > 1 else { return }
        let sorted = claims.indices.map { claims[$0] }.sorted { left, right in
            left.intent.isReservable == right.intent.isReservable
                ? left.start < right.start : left.intent.isReservable
        }
        claims = ShortList()
        for claim in sorted { claims.append(claim) }
    }
}

/// What the directory says to an access, which it has resolved.
enum Grant {
    /// Go ahead, and end the access when the copying is done.
    case granted
    /// A page cannot be handed out: at this address is the first byte whose granule mismatches; nil where the object
    /// has no page, and tag 0. Nothing to end.
    case mismatch(at: PhysicalAddress?)
    /// The file ends before the access. Nothing to end.
    case endOfFile
    /// Not now and not later. Nothing to end.
    case failed(FileError)
}

enum Admission {
    case decided(Grant)
    /// The access waits its turn; `CoherenceDirectory.wait` is to be called with the ticket.
    case queued(WaitTicket)
}

/// Something that waits for a decision on an access. It is run once: by the thread that asked if that was before it left
/// it, otherwise never on one that serves requests.
protocol DeferredOperation: AnyObject, Sendable {
    func run(_ grant: Grant, _ access: MemoryAccess)
}

/// Something that waits for a change to be done. It is run once, never on a thread that serves requests.
protocol Completion: AnyObject, Sendable {
    /// `nil` for success.
    func run(_ error: FileError?)
}
