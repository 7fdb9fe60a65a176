import TagMemCore

@testable import TagMemFS

extension ObjectKernel {
    /// What a step can begin with.
    enum Action: Int, CaseIterable {
        case read, write, writeTags, instruct, fill, fillMany, create, resize, append, punch, convert, remove,
            compact
        case refill, allocate, planFill, changeMode
        case store, evict, writeBack, changeWriters, pin, storeBehindEnd

        var isRequest: Bool { rawValue <= Self.changeMode.rawValue }
    }

    /// A page of a file in the page cache, as the memory that it shows: packed tags for `tags.hex`.
    struct CachePage {
        /// nil while it is filled.
        var bytes: [UInt8]?
        var isDirty = false
        /// The kernel waits for an answer with the page locked.
        var isLocked = false
        /// Its bytes are on the way to the daemon.
        var isWriting = false
        /// When it was filled.
        var filled = 0
        /// When a program stored to it last.
        var stored = 0
        /// What a locked page that is out of date has, of a write to a part of it.
        var partial: [UInt8]?
        /// What a write left in it that is not answered yet.
        var pending: Range<Int>?
        /// Whether the kernel has it from a write that the daemon has not looked at.
        var isNew = false
        /// Whether it has bytes of a write that was refused: a program stored to it before the answer.
        var isRefused = false
        /// Whether it has what a program stored to it during a write, which did not come back and is not in memory: the page
        /// is about to be recalled.
        var isApart = false
        /// From where on it has what was stored behind the object's end.
        var tail: Int?
    }

    /// A file with its inode and page cache.
    final class File: CustomStringConvertible {
        let alias: Alias
        let kind: AliasKind
        private let name: String
        private(set) weak var object: Object?
        var pages: [UInt64: CachePage] = [:]
        /// Whether somebody writes to it, or changes its size or holes.
        var isLocked = false
        /// Whether its write-backs are held back.
        var holdsBack = false

        init(_ id: ObjectID, _ name: String, _ kind: AliasKind, _ object: Object?) {
            alias = Alias(object: id, kind: kind)
            self.kind = kind
            self.name = name
            self.object = object
        }

        var tag: AddressTag? { if case .view(let tag) = kind { tag } else { nil } }
        var description: String { "\(name) \(kind)" }
        /// Bytes of memory that a page of the file shows.
        var pageBytes: Int { kind == .tagsHex ? 2048 : 4096 }
    }

    /// A memory object, and what was last written to it.
    final class Object {
        let id: ObjectID
        let name: String
        private(set) var files: [File] = []
        var data: [UInt8]
        var tags: [UInt8]
        /// The size of `mem` as the kernel knows it.
        var size: UInt64 = 0
        /// What a change that is under way may or may not have done yet: in the address space of the object.
        var unsettled: [Range<UInt64>] = []
        var isConverting = false
        /// How often it was made smaller: what was begun before may be about pages that it has lost.
        var cuts = 0
        var isRemoved = false
        /// Its last page is free.
        var isReleased = false

        init(_ id: ObjectID, capacity: Int) {
            self.id = id
            name = "object \(id.number)"
            data = Array(repeating: 0, count: capacity)
            tags = Array(repeating: 0, count: capacity / 32)
            files = ObjectKernel.kinds.map { File(id, name, $0, self) }
        }

        var mem: File { files[0] }
    }

    /// Where a piece of physical memory is in the model.
    struct Place {
        let object: Object
        let isTags: Bool
        /// In `data` or in `tags`.
        let offset: Int
    }

    /// A read, write or fill that the kernel waits for the answer of.
    final class Request: DecidedOperation, CustomStringConvertible, @unchecked Sendable {
        let file: File
        let purpose: MemoryAccess.Purpose
        let offset: UInt64
        let count: Int
        let tag: AddressTag?
        let value: UInt8
        /// Whether it is a read of a core file, which shows the bytes of `file` and is never cached.
        let isOfCore: Bool
        unowned let kernel: ObjectKernel
        /// Where it stands among all that were sent.
        var number: UInt64 = 0
        /// As it was granted.
        var access: MemoryAccess?
        var cuts = 0
        /// When it was granted.
        var granted = 0
        /// Whether a thread that serves requests copies it.
        var isServed = false
        /// Pages that are answered and not put up yet.
        var late = 0

        init(
            _ kernel: ObjectKernel, _ file: File, _ purpose: MemoryAccess.Purpose, _ offset: UInt64,
            _ count: Int,
            value: UInt8 = 0, isOfCore: Bool = false
        ) {
            self.kernel = kernel
            self.file = file
            self.purpose = purpose
            self.offset = offset
            self.count = count
            self.value = value
            self.isOfCore = isOfCore
            tag = file.tag
        }

        func run(_ grant: Decided) { kernel.decided(self, grant) }

        /// An instruction comes through no file that the kernel has cached pages of.
        var alias: Alias {
            if case .instruction = purpose { return Alias(object: file.alias.object, kind: nil) }
            var alias = file.alias
            alias.isBorrowed = isOfCore
            return alias
        }

        var isFill: Bool { if case .fill = purpose { true } else { false } }
        /// The pages that a fill has locked.
        var offsets: [UInt64] { Array(stride(from: offset, to: offset + UInt64(count), by: 4096)) }

        var description: String {
            "\(purpose) \(file)\(isOfCore ? " in core" : "") 0x\(String(offset, radix: 16))+\(count)"
        }
    }

    /// A page on the way to the daemon.
    final class Writeback {
        let file: File
        let offset: UInt64
        let count: Int
        /// Set once a thread has taken it.
        var access: MemoryAccess?
        var cuts = 0

        init(_ file: File, _ offset: UInt64, _ count: Int) {
            self.file = file
            self.offset = offset
            self.count = count
        }
    }

    /// Something that is run when a change is done.
    final class Answer: Completion, @unchecked Sendable {
        private let body: (FileError?) -> Void
        init(_ body: @escaping (FileError?) -> Void) { self.body = body }
        func run(_ error: FileError?) { body(error) }
    }

    /// The thread that recalls what is in a lane.
    final class Lane {
        enum State {
            case asleep, lookingForWork
            case recalling(RecallJob, offset: UInt64)
        }

        let lane: RecallLane
        var state = State.asleep
        init(_ lane: RecallLane) { self.lane = lane }
    }

    /// Where the kernel's part of a change has come.
    enum Progress { case waiting, goingOn, done }

    /// What a thread of the daemon does, recalls aside.
    enum ThreadWork: Int, Hashable { case ready, jobs, notices, strays }

    /// How often the threads of the daemon were woken.
    final class Bells: @unchecked Sendable {
        private(set) var recalls = RecallLane.allCases.map { _ in 0 }
        private(set) var threads: [ThreadWork: Int] = [.ready: 0, .jobs: 0, .notices: 0, .strays: 0]

        func ring(_ work: Work) {
            for lane in RecallLane.allCases where work.contains(.recall(lane)) { recalls[lane.rawValue] += 1 }
            if work.contains(.ready) { threads[.ready, default: 0] += 1 }
            if work.contains(.jobs) { threads[.jobs, default: 0] += 1 }
            if work.contains(.notices) { threads[.notices, default: 0] += 1 }
            if work.contains(.strays) { threads[.strays, default: 0] += 1 }
        }

        /// Whether there was a call, which is taken.
        func take(_ lane: RecallLane) -> Bool {
            guard recalls[lane.rawValue] > 0 else { return false }
            recalls[lane.rawValue] -= 1
            return true
        }

        func take(_ work: ThreadWork) -> Bool {
            guard threads[work, default: 0] > 0 else { return false }
            threads[work, default: 0] -= 1
            return true
        }
    }
}
