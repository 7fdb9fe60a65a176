import CTagMemABI
import Synchronization
import TagMemCore

/// What ioctls do: an access each, as reads and writes are, or something of the open file.
///
/// `mem` and the files of tags are the operating system's side, and do everything. `checked` is a processor's: it loads and
/// stores. A view is that for pointers with its tag alone, and what it checks nobody can turn off.
extension MemoryFile {
    func begin(_ reply: consuming Reply, _ request: MemoryIoctl) {
        do throws(FileError) {
            try check(request)
        } catch {
            return reply.error(error)
        }
        switch request {
        case .loadTags(let address, let count):
            let start = address.address & ~(TagGranule.size - 1)
            begin(reply, request, at: start, count: count * Int(TagGranule.size), .none, .load)
        case .storeTags(let address, let tags):
            let start = address.address & ~(TagGranule.size - 1)
            begin(reply, request, at: start, count: tags.count * Int(TagGranule.size), .none, .store)
        case .fill(let address, let count, _, let zeroing):
            begin(
                reply, request, at: address.address, count: Int(min(count, UInt64(MemoryIoctl.maximumFill))),
                zeroing ? .zero : .none, .store)
        case .execute(let instruction):
            guard let memory = instruction.memory else { return execute(reply, instruction) }
            begin(reply, request, at: memory.address, count: memory.count, memory.data, memory.tags)
        case .access(let access):
            let isChecked = processor.load(ordering: .relaxed).checks(access.pointer)
            begin(
                reply, request, at: access.pointer.address, count: access.size,
                access.isStore ? .store : .load, .none, tag: isChecked ? access.pointer.addressTag : nil)
        case .processor: reply.result(0, Self.encode(processor.load(ordering: .relaxed).ioctl))
        case .setProcessor(let state):
            processor.store(state, ordering: .relaxed)
            reply.result(0)
        case .mode: reply.result(0, Self.encode(directory.mode(of: object).ioctl))
        case .setMode(let mode):
            directory.changeMode(of: object, to: mode, then: DeferredReply(reply) { $0.result(0) })
        case .report(let report):
            record(report, thread: reply.thread)
            reply.result(0)
        }
    }

    /// Whether the file takes a request.
    private func check(_ request: MemoryIoctl) throws(FileError) {
        let isSystemSide = check == .none
        let isAllowed: Bool
        var pointer: TaggedPointer?
        switch request {
        case .loadTags: isAllowed = isSystemSide && isReadable
        case .storeTags, .fill, .setMode: isAllowed = isSystemSide && isWritable
        case .execute(let instruction):
            guard let memory = instruction.memory else { return }
            isAllowed = isSystemSide && (memory.tags == .load ? isReadable : isWritable)
            if memory.address % TagGranule.size != 0 { throw .invalid }
        case .access(let access):
            isAllowed = access.isStore ? isWritable : isReadable
            pointer = access.pointer
        case .report(let report):
            isAllowed = true
            pointer = report.pointer
        case .processor, .mode: isAllowed = true
        case .setProcessor(let state):
            isAllowed = true
            // What a view checks nobody can turn off: it may be all that a program was given.
            if case .tag = check, state.overridesChecks || state.trustsTagZero { throw .notPermitted }
        }
        if !isAllowed { throw .accessDenied }
        // Whoever has a view has pointers with its tag.
        if case .tag(let tag) = check, let pointer, pointer.addressTag != tag { throw .invalid }
    }

    private static func encode<Value: BitwiseCopyable>(_ value: Value) -> [UInt8] {
        unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
    }

    /// Does an instruction that accesses no memory.
    private func execute(_ reply: consuming Reply, _ instruction: TagInstruction) {
        var state = processor.load(ordering: .relaxed)
        while true {
            var next = state
            let xt = instruction.execute(&next.control, dram)
            let (isExchanged, current) = processor.compareExchange(
                expected: state, desired: next, ordering: .relaxed)
            if isExchanged { return reply.result(0, Self.encode(instruction.answer(xt ?? 0))) }
            state = current
        }
    }

    private func begin(
        _ reply: consuming Reply, _ request: MemoryIoctl, at address: UInt64, count: Int,
        _ data: MemoryAccess.Effect,
        _ tags: MemoryAccess.Effect, tag: AddressTag? = nil
    ) {
        // Through no file that the kernel has cached pages of: those of all files are in the way.
        var access = MemoryAccess(
            .instruction(data: data, tags: tags), Alias(object: object, kind: nil), at: address, count: count,
            tag: tag, user: reply.user)
        switch directory.begin(&access) {
        case .decided(let grant): finish(reply, request, access, grant)
        case .queued(let ticket): directory.wait(ticket, DeferredIoctl(self, reply, request))
        }
    }

    func finish(_ reply: consuming Reply, _ request: MemoryIoctl, _ access: MemoryAccess, _ grant: Grant) {
        switch grant {
        case .granted: break
        case .failed(let error): return reply.error(error)
        case .mismatch, .endOfFile: preconditionFailure("instructions are checked while they are done")
        }
        var isWhole = access.count == access.requested
        if case .fill = request { isWhole = true }
        guard isWhole else {
            directory.endRefused(access)
            return reply.error(access.footprint.stop ?? .invalid)
        }
        let (result, bytes) = perform(request, access, thread: reply.thread)
        if directory.end(access) { return reply.result(result, bytes) }
        directory.whenTold(reply) { $0.result(result, bytes) }
    }

    /// Does what was granted. Returns the result, and what is given back.
    private func perform(
        _ request: MemoryIoctl, _ access: MemoryAccess, thread: Int32
    ) -> (result: Int, bytes: [UInt8]) {
        if access.changesTags { fileSystem.counters.add(.tagWrites) }
        switch request {
        case .loadTags(let address, let count):
            return (0, Self.encode(tagmem_tags(at: address, count: count, loadTags(access.footprint))))
        case .storeTags(_, let tags):
            storeTags(tags, access.footprint)
            return (0, [])
        case .fill(_, _, let tag, let zeroing):
            fill(access.footprint, tag, zeroing: zeroing)
            return (access.count, [])
        case .execute(let instruction):
            let xt = execute(instruction, access.footprint)
            return (0, Self.encode(instruction.answer(xt)))
        case .access(let checked):
            return (0, Self.encode(perform(checked, access, thread: thread)))
        case .processor, .setProcessor, .mode, .setMode, .report:
            preconditionFailure("no access to memory")
        }
    }

    private func perform(_ checked: CheckedAccess, _ access: MemoryAccess, thread: Int32) -> tagmem_access {
        var fault = tagmem_fault()
        if access.mode.effect(onStore: checked.isStore) != .ignored, let mismatch = firstMismatch(access) {
            fault = record(mismatch, access, checked.isStore ? .store : .load, thread: thread).ioctl
        }
        if fault.effect == UInt8(TAGMEM_FAULT.rawValue) { return checked.answer([], fault) }
        if checked.isStore {
            unsafe checked.bytes.withUnsafeBytes { unsafe copy($0, to: access.footprint) }
            return checked.answer([], fault)
        }
        return checked.answer(dram.bytes(of: access.footprint), fault)
    }
}

/// An ioctl that waits for its turn.
final class DeferredIoctl: DeferredOperation {
    private let file: MemoryFile
    private let reply: ReplySlot
    private let request: MemoryIoctl

    init(_ file: MemoryFile, _ reply: consuming Reply, _ request: MemoryIoctl) {
        self.file = file
        self.reply = ReplySlot(reply)
        self.request = request
    }

    func run(_ grant: Grant, _ access: MemoryAccess) {
        guard let reply = reply.take() else { return }
        file.finish(reply, request, access, grant)
    }
}
