import TagMemCore

/// What is done to the pages of objects: sizes, holes, uses, removal.
///
/// Every call returns at once; `then` is run when it is done, with `.granted` or `.failed`. Thread-safe.
final class ObjectMemory: @unchecked Sendable {
    let directory: CoherenceDirectory
    let worker: PageWorker
    /// Tells the kernel that a file of an object has become larger. Set once before requests are served.
    var onGrowth: (NodeID, UInt64) -> Void = { _, _ in }

    private var layout: BlockLayout { directory.pages.layout }

    init(_ directory: CoherenceDirectory) {
        self.directory = directory
        worker = PageWorker(directory)
    }

    /// Gives an object the size: with all pages that it needs for it, or without those that it does not.
    func resize(_ aliases: ObjectAliases, to size: UInt64, then operation: any DeferredOperation) {
        let old = directory.size(of: .mem, aliases)
        if size <= old { return shrink(aliases, to: size, isRemoval: false, then: operation) }
        grow(aliases, over: old..<size, then: operation)
    }

    /// Lets an object grow to the end of `range`, with pages for the range and for what lies before it.
    func grow(_ aliases: ObjectAliases, over range: Range<UInt64>, then operation: any DeferredOperation) {
        let first = min(range.lowerBound, directory.size(of: .mem, aliases))
        guard let pages = pages(first..<range.upperBound) else { return operation.run(.failed(.noSpace)) }
        let done = Chained(before: operation) { [self] in announceSize(of: aliases) }
        worker.run(PopulateJob(worker, aliases, pages: pages, newSize: range.upperBound, then: done))
    }

    /// Gets the pages of a range that are not there. The size stays.
    func populate(_ aliases: ObjectAliases, _ range: Range<UInt64>, then operation: any DeferredOperation) {
        guard let pages = pages(range) else { return operation.run(.failed(.noSpace)) }
        worker.run(PopulateJob(worker, aliases, pages: pages, then: operation))
    }

    /// Takes the pages of a range away; what is left of it reads as zero.
    func punch(_ aliases: ObjectAliases, _ range: Range<UInt64>, then operation: any DeferredOperation) {
        worker.run(PunchJob(worker, aliases, range, then: operation))
    }

    /// Turns the object's pages to a use.
    func setUse(_ use: PageUse, of aliases: ObjectAliases, then operation: any DeferredOperation) {
        switch use {
        case .tagged: worker.run(TagJob(worker, aliases, then: operation))
        case .untagged: worker.run(UntagJob(worker, aliases, then: operation))
        }
    }

    /// The object was removed and its last file is closed: its pages go. Calls `body` when all of them are gone, those
    /// too that the kernel had.
    func release(
        _ aliases: ObjectAliases, then operation: any DeferredOperation = Nothing(),
        whenReleased body: @escaping () -> Void
    ) {
        let released = Chained(before: Nothing(), body)
        shrink(aliases, to: 0, isRemoval: true, then: operation, whenReleased: released)
    }

    private func shrink(
        _ aliases: ObjectAliases, to size: UInt64, isRemoval: Bool, then operation: any DeferredOperation,
        whenReleased released: any DeferredOperation = Nothing()
    ) {
        let ticket = ReleaseTicket(aliases)
        let done = Chained(after: operation) { [worker] in
            worker.run(ReleaseJob(worker, ticket, isRemoval: isRemoval, then: released))
        }
        worker.run(ShrinkJob(worker, ticket, to: size, isRemoval: isRemoval, then: done))
    }

    /// The pages that a range of an object touches; nil if memory has not that many.
    private func pages(_ range: Range<UInt64>) -> Range<Int>? {
        let most = UInt64(directory.withPages { $0.allocator.totalPages }) * layout.pageSize
        guard range.upperBound <= most else { return nil }
        return Int(range.lowerBound / layout.pageSize)..<MemoryObject.pages(for: range.upperBound, layout)
    }

    /// The kernel knows the size of `mem`, which it has changed itself, but not those of the other files.
    private func announceSize(of aliases: ObjectAliases) {
        let known = directory.withPages { _ in
            AliasKind.all.filter { $0 != .mem && aliases.shownSizes & $0.bit != 0 }
        }
        for kind in known { onGrowth(aliases.node(of: kind), directory.size(of: kind, aliases)) }
    }
}

/// An operation with something that is done before it is answered, if it succeeds, or after.
private final class Chained: DeferredOperation, @unchecked Sendable {
    private let operation: any DeferredOperation
    private let body: () -> Void
    private let isBefore: Bool

    init(before operation: any DeferredOperation, _ body: @escaping () -> Void) {
        self.operation = operation
        self.body = body
        isBefore = true
    }

    /// `body` is done in any case: what an object has lost, it has lost.
    init(after operation: any DeferredOperation, _ body: @escaping () -> Void) {
        self.operation = operation
        self.body = body
        isBefore = false
    }

    func run(_ grant: Grant) {
        if isBefore, case .granted = grant { body() }
        operation.run(grant)
        if !isBefore { body() }
    }
}

/// Nobody waits for it.
final class Nothing: DeferredOperation, Sendable {
    func run(_ grant: Grant) {}
}
