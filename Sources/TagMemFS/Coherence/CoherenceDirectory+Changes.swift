import TagMemCore

/// Changes of objects: sizes, pages, uses, modes. Every call returns at once; the completion is run when it is done.
extension CoherenceDirectory {
    /// Gives an object the size: with all pages that it needs for it, or without those that it does not.
    func resize(_ object: ObjectID, to size: UInt64, then completion: any Completion) {
        change(object, completion) { state in
            let old = state.objects[object].memory.size
            if size <= old { return .shrink(ShrinkJob(object, to: size)) }
            return .populate(state.pageDemand(object, old..<size, growsTo: size, .truncate))
        }
    }

    /// Gets the pages of a range that are not there; unless the size stays, the object grows to the range's end.
    func populate(
        _ object: ObjectID, _ range: Range<UInt64>, keepsSize: Bool, then completion: any Completion
    ) {
        change(object, completion) { state in
            let size = state.objects[object].memory.size
            if keepsSize || range.upperBound <= size {
                return .populate(state.pageDemand(object, range, growsTo: nil, .direct))
            }
            let start = min(range.lowerBound, size)
            return .populate(
                state.pageDemand(object, start..<range.upperBound, growsTo: range.upperBound, .direct))
        }
    }

    private enum SizeChange {
        case shrink(ShrinkJob)
        /// nil where memory has not that many pages.
        case populate(PageDemand?)
    }

    private func change(
        _ object: ObjectID, _ completion: any Completion, _ decide: (inout MemoryState) -> SizeChange
    ) {
        update { state in
            if state.isDraining { return state.ready.append(.done(completion, .unmounting)) }
            guard state.objects.contains(object) else {
                return state.ready.append(.done(completion, .notFound))
            }
            switch decide(&state) {
            case .shrink(let job): state.start(job, then: .completion(completion))
            case .populate(let demand?): state.start(PopulateJob(demand), then: .completion(completion))
            case .populate(nil): state.ready.append(.done(completion, .noSpace))
            }
        }
    }

    /// Turns the object's pages to a use.
    func setUse(_ use: PageUse, of object: ObjectID, then completion: any Completion) {
        switch use {
        case .tagged: start(TagJob(object), then: completion)
        case .untagged: start(UntagJob(object), then: completion)
        }
    }

    /// Changes the mode of an object when every page that the old mode handed out and its tags refuse has come back.
    func changeMode(of object: ObjectID, to mode: TagCheckMode, then completion: any Completion) {
        start(ModeJob(object, to: mode), then: completion)
    }

    /// The object was removed and its last file is closed: its pages go. `released` is run when all of them are gone,
    /// those too that the kernel had. One that never had a page is gone when this returns.
    func release(_ object: ObjectID, then completion: any Completion, whenReleased released: any Completion) {
        let isGone = update { state in state.removeIfEmpty(object) }
        if isGone {
            released.run(nil)
            completion.run(nil)
        } else {
            start(ShrinkJob(object, to: 0, removal: released), then: completion)
        }
    }
}
