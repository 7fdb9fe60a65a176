import TagMemCore

/// Makes a hole in an object: whole pages go back, the rest of the range is set to zero. The size stays.
struct PunchJob: PageJob {
    private let object: ObjectID
    private let range: Range<UInt64>
    private var next: UInt64

    init(_ object: ObjectID, _ range: Range<UInt64>) {
        self.object = object
        self.range = range
        next = range.lowerBound
    }

    var subject: ObjectID? { object }

    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep {
        if let blocked = state.reshape(object, task) { return blocked }
        let pageSize = state.pages.layout.pageSize
        let end = min(range.upperBound, UInt64(state.objects[object].memory.pages.count) * pageSize)
        for _ in 0..<JobTask.pagesPerStep where next < end {
            let index = Int(next / pageSize)
            let pageEnd = UInt64(index + 1) * pageSize
            guard let frame = state.objects[object].memory.pages[index] else {
                let last = MemoryObject.pages(for: end, state.pages.layout)
                let found = state.objects[object].memory.pages.nextPresent(from: index + 1, below: last)
                next = found.map { UInt64($0) * pageSize } ?? end
                continue
            }
            var obstacles = state.recallAll(of: frame, state.objects[object].memory.use)
            let part = next % pageSize..<min(end, pageEnd) - UInt64(index) * pageSize
            if part != 0..<pageSize { obstacles += state.recallViews(taggedBy: frame) }
            if !obstacles.isEmpty { return state.wait(forAll: obstacles) }
            if part == 0..<pageSize {
                state.free(frame)
                state.objects[object].memory.pages.remove(index)
                state.noteChange(of: object, pageEnd - pageSize..<pageEnd)
                state.pagesWereReleased()
            } else {
                state.dram.zero(
                    state.pages.layout.address(of: frame) + part.lowerBound, count: part.count)
            }
            next = min(end, pageEnd)
        }
        if next < end { return .again }
        state.objects[object].memory.shortenPages()
        return state.finishReshaping(object)
    }
}
