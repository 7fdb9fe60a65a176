import TagMemCore

/// Compacts to the end: as few Tag Pages are reserved as the tagged pages need.
final class CompactJob: PageJob, @unchecked Sendable {
    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        if directory.pages.allocator.isCompact { return .finished(nil) }
        return compact(directory, &state) ?? .again
    }
}

/// Fills the reserves of pages for atomic allocations up to their watermarks, as far as there are pages.
final class RefillJob: PageJob, @unchecked Sendable {
    override func step(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step {
        guard directory.pages.allocator.needsRefill else { return .finished(nil) }
        return refill(Self.pagesPerStep, directory, &state) ?? .again
    }
}

/// What these jobs and the background do in a step.
extension PageJob {
    /// Empties sparse tagged blocks, with as many moves as a step has. Returns what is to be waited for, if anything.
    func compact(_ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State) -> Step? {
        var mover = CoherentMover(directory)
        directory.pages.allocator.compactStep(budget: Self.movesPerStep, with: &mover)
        if mover.moves > 0 { state.needsReview = true }
        return mover.hasGivenUp ? wait(for: mover.obstacles, directory, &state) : nil
    }

    /// Gets up to `budget` pages for the reserves. Returns what is to be waited for, or `.finished(.noSpace)` where
    /// there are no more pages.
    func refill(
        _ budget: Int, _ directory: CoherenceDirectory, _ state: inout CoherenceDirectory.State
    ) -> Step? {
        var mover = CoherentMover(directory)
        defer { if mover.moves > 0 { state.needsReview = true } }
        do throws(AllocationError) {
            try directory.pages.allocator.refillReserve(budget: budget, with: &mover)
            return nil
        } catch .mustWait {
            return wait(for: mover.obstacles, directory, &state)
        } catch {
            return .finished(.noSpace)
        }
    }
}
