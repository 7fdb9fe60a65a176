import TagMemCore

/// Compacts to the end: as few Tag Pages are reserved as the tagged pages need.
final class CompactJob: PageJob, @unchecked Sendable {
    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if directory.pages.allocator.isCompact { return .finished(nil) }
        var mover = CoherentMover(directory)
        directory.pages.allocator.compactStep(budget: Self.movesPerStep, with: &mover)
        if mover.moves > 0 { state.needsReview = true }
        return mover.hasGivenUp ? wait(for: mover.obstacles, directory, &state) : .again
    }
}

/// Fills the reserves of pages for atomic allocations up to their watermarks, as far as there are pages.
final class RefillJob: PageJob, @unchecked Sendable {
    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        guard directory.pages.allocator.needsRefill else { return .finished(nil) }
        var mover = CoherentMover(directory)
        defer { if mover.moves > 0 { state.needsReview = true } }
        do throws(AllocationError) {
            try directory.pages.allocator.refillReserve(budget: Self.pagesPerStep, with: &mover)
        } catch .mustWait {
            return wait(for: mover.obstacles, directory, &state)
        } catch {
            return .finished(.noSpace)
        }
        return .again
    }
}
