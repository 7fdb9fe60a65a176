import DequeModule
import TagMemCore

/// Work on the pages of objects that is done in steps, each of them short and under the directory's lock.
///
/// A step that finds something in its way names it, and the job waits without holding up any thread. Jobs do not queue
/// up behind accesses that wait for their lines: a size change must not wait for one that waits for a recall of the
/// inode whose size it is (see `RecallLane`).
protocol PageJob {
    /// The object that it is about, if it is about one: where that is gone, the job ends.
    var subject: ObjectID? { get }

    /// Does the next step.
    mutating func step(_ state: inout MemoryState, _ task: JobTask) -> JobStep
}

extension PageJob {
    var subject: ObjectID? { nil }
}

/// How a step of a job ended.
enum JobStep {
    /// There is more to do.
    case again
    /// Something to be done without the lock, on lines that the job has claimed, before the next step.
    case outside(@Sendable () -> Void)
    case blocked(JobObstacle)
    /// `nil` for success. The job has no further step.
    case finished(FileError?)
}

/// What a job waits for.
enum JobObstacle {
    /// Lines that are copied, or that are being recalled. Later accesses leave them to the job.
    case lines([Int])
    /// Pages that are being released, as long as none was since `releases` counted that many.
    case releases(UInt64)
    /// Another job that changes the object.
    case reshaping(ObjectID)
    /// Recalls of a lane, up to this one.
    case recalls(RecallLane, upTo: UInt64)
    /// Recalls of pages that an object has lost.
    case ticket(ReleaseTicket)
    /// Another change of the object's mode.
    case modeChange(ObjectID)
    /// Checked accesses to the object that copy, and pages that are being recalled from its views.
    case quiet(ObjectID)
    /// What is to be said to the kernel up to here.
    case notices
}

/// Who is told when a job is done.
enum JobEnd {
    case completion(any Completion)
    /// An access that waits for pages.
    case access(WaitTicket)
    /// A job that waits for what is to be said to the kernel.
    case job(JobTask)
    case nobody
}

/// A job that is under way. Known to the directory's state, and while it does what is outside, or its own steps
/// (`MemoryState.advance`), to one thread.
final class JobTask {
    var job: any PageJob
    let end: JobEnd
    /// Set while it waits.
    var obstacle: JobObstacle?
    /// Whether somebody who wants pages was held up, by pages that had to move or to be waited for.
    var isStalled = false
    /// What is said to the kernel before anybody is told that it is done.
    var notices: [Notice] = []
    let start = monotonicNanoseconds()

    init(_ job: any PageJob, then end: JobEnd) {
        self.job = job
        self.end = end
    }

    /// How many pages a step looks at, and how many it moves.
    static let pagesPerStep = 512
    static let movesPerStep = 32
    /// Pages that a step gets for a reserve, each of which may be the first of its block.
    static let refillsPerStep = 128
}

/// Jobs whose turn it is, and those that wait for pages to be released.
struct JobQueue {
    var ready: Deque<JobTask> = []
    var waitingForReleases: [JobTask] = []
    var waitingForRecalls: [(lane: RecallLane, sequence: UInt64, task: JobTask)] = []
    /// Completions that wait for recalls of the free lane.
    var afterRecalls: Deque<(sequence: UInt64, completion: any Completion)> = []
    /// Jobs that are not done, for the end.
    var all: [ObjectIdentifier: JobTask] = [:]
    /// Jobs that will free pages and need nothing for it but recalls of the free lane; and how often some did.
    var pendingReleases = 0
    var releases: UInt64 = 0
}
