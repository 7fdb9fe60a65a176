import CTagMemABI
import TagMemCore

/// A load or store by ioctl: done as a whole, or not at all.
struct CheckedAccess {
    let pointer: TaggedPointer
    let size: Int
    let isStore: Bool
    /// What is stored.
    let bytes: [UInt8]

    /// - Throws: `.invalid`.
    init(_ access: tagmem_access) throws(FileError) {
        pointer = TaggedPointer(rawValue: access.address)
        guard (1...64).contains(access.size), access.store <= 1, !pointer.hasBitsAboveTag,
            MemoryIoctl.isZero(access.fault)
        else { throw .invalid }
        size = Int(access.size)
        isStore = access.store == 1
        bytes =
            isStore
            ? unsafe withUnsafeBytes(of: access.bytes) { unsafe Array($0.prefix(Int(access.size))) } : []
    }

    /// The answer: the request with what was loaded, and what happened.
    func answer(_ loaded: [UInt8], _ fault: tagmem_fault) -> tagmem_access {
        var answer = tagmem_access()
        answer.address = pointer.rawValue
        answer.size = UInt32(size)
        answer.store = isStore ? 1 : 0
        answer.fault = fault
        unsafe withUnsafeMutableBytes(of: &answer.bytes) {
            unsafe $0.copyBytes(from: isStore ? bytes : loaded)
        }
        return answer
    }

    /// A fault that a program has found itself.
    struct Report {
        let pointer: TaggedPointer
        let size: Int
        let isStore: Bool
        let mode: TagCheckMode
        let allocationTag: AllocationTag

        /// - Throws: `.invalid`.
        init(_ report: tagmem_report) throws(FileError) {
            pointer = TaggedPointer(rawValue: report.address)
            guard let mode = TagCheckMode(ioctl: UInt32(report.mode)), mode.options.isEmpty, mode != .none,
                report.size > 0, report.store <= 1, report.allocation_tag < 16, report.reserved == 0,
                !pointer.hasBitsAboveTag
            else { throw .invalid }
            size = Int(report.size)
            isStore = report.store == 1
            self.mode = mode
            allocationTag = AllocationTag(truncating: UInt64(report.allocation_tag))
        }
    }
}
