import TagMemCore

/// Compacts to the end: as few Tag Pages are reserved as the tagged pages need.
struct CompactJob: PageJob {
    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if state.pages.allocator.isCompact { return .finished(nil) }
        return state.compact() ?? .again
    }
}

/// Brings the reserves of pages for atomic allocations to their watermarks, as far as there are pages.
struct RefillJob: PageJob {
    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if state.pages.allocator.needsReserveRelease {
            state.withMover { allocator, mover in
                _ = allocator.releaseReserve(budget: JobTask.pagesPerStep, with: &mover)
            }
            state.pagesWereReleased()
            return .again
        }
        guard state.pages.allocator.needsRefill else { return .finished(nil) }
        switch state.refill(JobTask.refillsPerStep) {
        // What is missing now comes when pages are free.
        case .finished: return .finished(nil)
        case let step?: return step
        case nil: return .again
        }
    }
}

/// Compaction and the refill of the reserves, until somebody asks for something.
struct BackgroundJob: PageJob {
    let isInterrupted: () -> Bool

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if state.pages.allocator.needsRefill, state.pages.canRefill {
            switch state.refill(JobTask.movesPerStep) {
            case .finished: state.pages.refillFailed = state.pages.allocator.counters.frees
            case let step?: return step
            case nil: break
            }
        } else if let step = state.compact() {
            return step
        }
        return !state.pages.hasBackgroundWork || isInterrupted() ? .finished(nil) : .again
    }
}

extension MemoryState {
    /// Empties sparse tagged blocks, with as many moves as a step has. Returns what is to be waited for, if anything.
    fileprivate mutating func compact() -> JobStep? {
        let obstacles = withMover { allocator, mover in
            allocator.compactStep(budget: JobTask.movesPerStep, with: &mover)
            return mover.obstacles
        }
        return obstacles.isEmpty ? nil : wait(for: obstacles)
    }

    /// Gets up to `budget` pages for the reserves. Returns what is to be waited for, or `.finished(.noSpace)` where
    /// there are no more pages.
    fileprivate mutating func refill(_ budget: Int) -> JobStep? {
        let (error, obstacles): (AllocationError?, [Int]) = withMover { allocator, mover in
            do throws(AllocationError) {
                try allocator.refillReserve(budget: budget, with: &mover)
                return (nil, [])
            } catch {
                return (error, mover.obstacles)
            }
        }
        switch error {
        case nil: return nil
        case .mustWait: return wait(for: obstacles)
        default: return .finished(.noSpace)
        }
    }
}
